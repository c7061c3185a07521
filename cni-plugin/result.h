#pragma once
/* Results as the specification knows them, decoded from any version of it and formatted in any, and
 * what else goes to standard output. Pure, but for result_write().
 */

#include "addr.h"
#include "attach.h"
#include "cni.h"

struct result_interface {
	char *name;
	char *mac; /* as it was written: it need not be Ethernet's; NULL: none */
	unsigned int mtu;
	char *sandbox; /* NULL: the host's */
	char *socket_path;
	char *pci_id;
};

struct result_ip {
	struct prefix addr;
	int interface; /* index in the result's interfaces, -1: none */
	struct addr gateway;
};

struct result_route {
	struct prefix dst;
	struct addr gw;
	unsigned int mtu, advmss, priority; /* 0: none */
	int table, scope;		    /* -1: none */
};

struct result_dns {
	struct config_array nameservers, search, options; /* char * */
	char *domain;
};

struct result {
	struct config_array interfaces; /* struct result_interface */
	struct config_array ips;	/* struct result_ip */
	struct config_array routes;	/* struct result_route */
	struct result_dns dns;
};

void result_clear(struct result *r);
#define auto_result __attribute__((cleanup(result_clear)))

/* Decodes a result of the version it names, or of `version` where it names none. -EINVAL, also
 * where it has more of anything than RESULT_*_MAX or an address that belongs to no interface. */
int result_decode(const struct config_value *v, enum cni_version version, struct result *ret,
		  struct err *err);

/* The result that the plugin before us in a chain left in the configuration; empty where there is
 * none. */
int result_previous(const struct config_text *text, enum cni_version version, struct result *ret,
		    struct err *err);

/* Can this version express it? -EINVAL: 0.1.0 and 0.2.0 have one address of a family, and at least
 * one. */
int result_fits(const struct result *r, enum cni_version version, struct err *err);

/* Exactly in `version`. The text is owned by the caller. */
char *result_format(const struct result *r, enum cni_version version);

/* The result of ADD. `sandbox` is CNI_NETNS as the runtime wrote it; of `link` the interface, MAC,
 * MTU, address and unicast routes are told. `gateway` may be none. The text is owned by the caller.
 */
char *result_attached(enum cni_version version, const struct attachment *link, const char *sandbox,
		      const struct addr *gateway);

/* The answer to VERSION. */
char *result_versions(enum cni_version version);

char *result_error(enum cni_version version, enum cni_code code, const char *details);

/* Writes it to standard output at once. */
int result_write(const char *text, struct err *err);

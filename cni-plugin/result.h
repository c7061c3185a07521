#pragma once
/* Results as the specification knows them, decoded from any version of it and formatted in any, and
 * what else goes to standard output. Pure, but for result_write().
 */

#include "addr.h"
#include "attach.h"
#include "cni.h"

struct result_interface {
	char *name;
	char *mac;     /* as it was written: it need not be Ethernet's; NULL: none */
	char *sandbox; /* NULL: the host's */
	char *socket_path;
	char *pci_id;
	int64_t mtu; /* numbers: -1 is none */
};

struct result_ip {
	struct prefix addr;
	struct addr gateway;
	int64_t interface; /* index in the result's interfaces */
};

struct result_route {
	struct prefix dst;
	struct addr gw;
	int64_t mtu, advmss, priority, table, scope;
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

void result_dns_clear(struct result_dns *dns);
void result_clear(struct result *r);
#define auto_result __attribute__((cleanup(result_clear)))

/* More of anything than this is refused. */
#define RESULT_INTERFACES_MAX 64
#define RESULT_IPS_MAX	      64
#define RESULT_ROUTES_MAX     1024
#define RESULT_NAMES_MAX      64

/* Decodes a result of the version that it names, or of `version` where it names none. -EINVAL also
 * where an address belongs to an interface that is not there. */
int result_decode(const struct config_value *v, enum cni_version version, struct result *ret,
		  struct err *err);

/* The result that the plugin before us in a chain left in the configuration; empty where there is
 * none. */
int result_previous(const struct config_text *text, enum cni_version version, struct result *ret,
		    struct err *err);

/* config_decode_fn of a struct result_dns. */
int result_dns_decode(const struct config_value *v, void *out, const void *arg, struct err *err);

/* The most specific one counts: puts `dns` in the place of what `r` has, unless it is empty; it is
 * empty afterwards. */
void result_take_dns(struct result *r, struct result_dns *dns);

/* Appends an interface in a pod with its MAC address, MTU, address and unicast routes. `sandbox` is
 * CNI_NETNS as the runtime wrote it; `gateway` may be none. */
void result_append(struct result *r, const struct attachment *link, const char *sandbox,
		   const struct addr *gateway);

/* Can `version` express it with one IPv4 address more, where `address` is set? -EINVAL: 0.1.0 and
 * 0.2.0 have one address of a family, and at least one. */
int result_fits(const struct result *r, bool address, enum cni_version version, struct err *err);

/* The document, exactly in `version`, owned by the caller. */
char *result_format(const struct result *r, enum cni_version version);

/* The answer to VERSION. */
char *result_versions(enum cni_version version);

char *result_error(enum cni_version version, enum cni_code code, const char *details);

/* Writes it to standard output at once. */
int result_write(const char *text, struct err *err);

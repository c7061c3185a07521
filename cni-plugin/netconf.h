#pragma once
/* The network configuration from standard input. */

#include "addr.h"
#include "cni.h"
#include "result.h"

enum cni_role { ROLE_CLIENT, ROLE_ROUTER, ROLE_GATEWAY, ROLE_SYNC };

/* As the lease table and the configuration spell them. */
extern const char *const cni_role_names[];

struct netconf {
	char *name;
	int role;	      /* enum cni_role */
	char *network;	      /* label of at most 12 characters: br-NETWORK, the lease table */
	struct prefix subnet; /* IPv4; family AF_UNSPEC: none (role gateway) */
	struct addr vip;      /* AF_UNSPEC: none */
	struct config_array intranet; /* struct prefix, of both families */
	struct config_array ips;      /* struct addr: requested, each once, in the order given */
	struct mac mac;		      /* requested; all zero: none */
	unsigned int mtu;	      /* bytes, 0: the bridge's */
	char *netns;		      /* of the bridges */
	char *lease_dir;
	char *ipam_type; /* the delegate that gives addresses, NULL: the lease table */
	struct result_dns dns;
	json_t *prev_result; /* of the text, NULL: none; result_decode() reads it */
	char *log_file;	     /* NULL: none */
	int log_level;	     /* enum log_level */
	enum cni_version version;
};

void netconf_clear(struct netconf *c);
#define auto_netconf __attribute__((cleanup(netconf_clear)))

/* Parses what came on standard input, `len` bytes at `bytes`, terminated. CNI_BAD_JSON. */
enum cni_code netconf_parse(const char *bytes, size_t len, struct config_text *ret,
			    struct err *err);

/* The version that the configuration asks for; missing or empty means 0.1.0. CNI_BAD_JSON where it
 * is no version, CNI_BAD_VERSION where it is none of ours. */
enum cni_code netconf_version(const struct config_text *text, enum cni_version *ret,
			      struct err *err);

/* Decodes and checks all of it, for ADD; requests are checked by request_complete(). */
enum cni_code netconf_load(const struct config_text *text, struct netconf *ret, struct err *err);

/* Is it an address that a host on the network can have? */
bool netconf_is_host(const struct netconf *c, const struct addr *a);

/* For DEL, which must undo what it can with whatever is left of a configuration: names, paths, the
 * delegate and the log; defaults for what is not usable. `network` is NULL where it names none. */
void netconf_load_names(const struct config_text *text, struct netconf *ret);

#pragma once
/* The gateway's configuration: one JSON file and a wg-quick file an exit. config.c; the header
 * cannot be called so too, since lib/base has a config.h. */

#include <net/if.h>

#include "addr.h"
#include "config.h"
#include "err.h"
#include "wgquick.h"

#define EXITS_MAX	  64
#define EXIT_NAME_MAX	  12 /* "wg-" + name must fit an interface name */
#define PROBE_TARGETS_MAX 8

/* A VPN identity that this pair carries. */
struct exit_config {
	char *name;
	struct addr address; /* on the network */
	char *file;	     /* wg-quick; relative paths are resolved against the configuration's */
	unsigned int prefer; /* member that should hold it, 1 or 2 */
	struct wgquick wg;
};

struct probe_config {
	struct config_array targets; /* of struct addr */
	unsigned int interval_ms, timeout_ms;
	unsigned int down; /* misses in a row until an exit counts as down */
	unsigned int up;   /* answers in a row until it is up again */
};

struct gateway_config {
	char interface[IFNAMSIZ]; /* on the network, e.g. net1 */
	struct prefix subnet;
	struct addr_range clients;
	struct prefix identities; /* of ingress; family AF_UNSPEC: none */
	struct addr vip;
	unsigned int mtu;	   /* of the network in bytes, 0: the interface's */
	struct config_array exits; /* of struct exit_config */
	unsigned int member;	   /* 1 or 2: which of the pair this is */
	char sync_interface[IFNAMSIZ];
	unsigned int group;
	unsigned int advert_ms; /* between two VRRP advertisements, of both members */
	char track[IFNAMSIZ];	/* the way to the providers, e.g. eth0 */
	struct probe_config probe;
	unsigned int health_port;
	struct addr metrics_address;
	unsigned int metrics_port;
	char *socket, *run_dir;
};

/* Reads and checks the whole; on failure -errno and one line in `err` ("FILE:LINE: PATH: why"),
 * *ret is cleared then. Keys are never part of a message. */
int gateway_config_load(const char *file, struct gateway_config *ret, struct err *err);

/* Frees what it owns; keys are zeroed. */
void gateway_config_clear(struct gateway_config *config);
#define auto_gateway_config __attribute__((cleanup(gateway_config_clear)))

static inline const struct exit_config *config_exit(const struct gateway_config *config, size_t i)
{
	return (const struct exit_config *)config->exits.items + i;
}

/* Would this change need another election (exits, addresses, member, sync network)? */
bool gateway_config_same_holdings(const struct gateway_config *a, const struct gateway_config *b);

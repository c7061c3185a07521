#pragma once
/* byway-router's configuration. */

#include <net/if.h>

#include "addr.h"
#include "config.h"
#include "err.h"

/* Each exit of the range has its own mark, table and rule from the start. */
#define EXITS_MAX 64

/* Intranet prefixes. */
#define INTRANET_MAX 256

struct router_config {
	struct {
		char interface[IFNAMSIZ];
		struct prefix subnet;
		struct addr_range clients;
		struct prefix identities; /* family AF_UNSPEC: none */
	} network;
	struct addr vip;
	struct addr_range exits;
	struct config_array intranet; /* struct prefix */
	unsigned int mtu;	      /* bytes */
	struct {
		char interface[IFNAMSIZ];
		unsigned int group;	/* pair number */
		unsigned int advert_ms; /* between two VRRP advertisements, of both members */
	} sync;
	unsigned int priority; /* VRRP */
	struct {
		unsigned int port;
		unsigned int interval_ms, timeout_ms;
		unsigned int down, up; /* answers in a row */
		unsigned int grace_ms; /* from the first missing answer until flows are refused */
	} health;
	struct {
		struct addr address;
		unsigned int port;
	} metrics;
	char *socket;
	char *run_dir;
};

void router_config_free(struct router_config *config);
#define auto_router_config __attribute__((cleanup(router_config_free)))

/* Decodes and checks; fills the zeroed `ret`. -EINVAL with file, line and path. */
int router_config_decode(const struct config_text *text, struct router_config *ret,
			 struct err *err);

/* The same from a file. */
int router_config_load(const char *file, struct router_config *ret, struct err *err);

/* May a running router go over to `b`? Only what neither moves the VIP nor renames a device:
 * clients, intranet and health. */
bool router_config_reloadable(const struct router_config *a, const struct router_config *b);

size_t router_config_exits(const struct router_config *config);

#include "router_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

/* Room for a VXLAN header under any MTU; the least that IPv6 allows. */
#define MTU_MIN 1280
#define MTU_MAX (65535 - 50)

/* Control sockets live in the run directory: sockaddr_un has 108 bytes. */
#define RUN_DIR_MAX 80

static const struct config_bounds mtu_bounds = {MTU_MIN, MTU_MAX};
static const struct config_bounds port_bounds = {1, 65535};
static const struct config_bounds byte_bounds = {1, 255};
static const struct config_bounds priority_bounds = {1, 254};
static const struct config_bounds count_bounds = {1, 100};
static const struct config_bounds interval_bounds = {100, 60000};
/* VRRP v3 counts hundredths of a second in twelve bits. */
static const struct config_bounds advert_bounds = {10, 40950};
static const struct config_bounds grace_bounds = {0, 600000};

static const struct config_list intranet_list = {
	config_prefix, NULL, sizeof(struct prefix), INTRANET_MAX, NULL,
};

#define FIELD(key, decode, member, arg, required)                                  \
	{                                                                          \
		key, decode, offsetof(struct router_config, member), arg, required \
	}

static const struct config_field network_fields[] = {
	FIELD("interface", config_ifname, network.interface, NULL, false),
	FIELD("subnet", config_prefix, network.subnet, NULL, true),
	FIELD("clients", config_range, network.clients, NULL, true),
	FIELD("identities", config_prefix, network.identities, NULL, false),
};
static const struct config_field sync_fields[] = {
	FIELD("interface", config_ifname, sync.interface, NULL, false),
	FIELD("group", config_uint, sync.group, &byte_bounds, true),
	FIELD("advert", config_duration, sync.advert_ms, &advert_bounds, false),
};
static const struct config_field health_fields[] = {
	FIELD("port", config_uint, health.port, &port_bounds, false),
	FIELD("interval", config_duration, health.interval_ms, &interval_bounds, false),
	FIELD("timeout", config_duration, health.timeout_ms, &interval_bounds, false),
	FIELD("down", config_uint, health.down, &count_bounds, false),
	FIELD("up", config_uint, health.up, &count_bounds, false),
	FIELD("grace", config_duration, health.grace_ms, &grace_bounds, false),
};
static const struct config_field metrics_fields[] = {
	FIELD("address", config_addr, metrics.address, NULL, false),
	FIELD("port", config_uint, metrics.port, &port_bounds, false),
};

/* The groups' offsets are those of the whole struct, so that they decode in place. */
static const struct config_object network_object = {network_fields, array_len(network_fields)};
static const struct config_object sync_object = {sync_fields, array_len(sync_fields)};
static const struct config_object health_object = {health_fields, array_len(health_fields)};
static const struct config_object metrics_object = {metrics_fields, array_len(metrics_fields)};

static const struct config_field fields[] = {
	{"network", config_object, 0, &network_object, true},
	FIELD("vip", config_addr, vip, NULL, true),
	FIELD("exits", config_range, exits, NULL, true),
	FIELD("intranet", config_list, intranet, &intranet_list, false),
	FIELD("mtu", config_uint, mtu, &mtu_bounds, false),
	{"sync", config_object, 0, &sync_object, true},
	FIELD("priority", config_uint, priority, &priority_bounds, false),
	{"health", config_object, 0, &health_object, false},
	{"metrics", config_object, 0, &metrics_object, false},
	FIELD("socket", config_string, socket, NULL, false),
	FIELD("runDir", config_string, run_dir, NULL, false),
};
static const struct config_object root_object = {fields, array_len(fields)};

/* --- meaning --- */

static int check_network(const struct config_text *text, const struct router_config *config,
			 struct err *err)
{
	const struct prefix *subnet = &config->network.subnet;
	const struct prefix *identities = &config->network.identities;
	struct addr_range range = prefix_range(subnet), other;
	struct prefix low = prefix_network(subnet);

	if (subnet->addr.family != AF_INET)
		return config_error_at(text, config_path("network.subnet"), err, "must be IPv4");
	if (!prefix_equal(&low, subnet))
		return config_error_at(text, config_path("network.subnet"), err,
				       "has bits behind its length");
	if (!addr_range_within(&config->network.clients, &range))
		return config_error_at(text, config_path("network.clients"), err,
				       "is not within network.subnet");
	if (identities->addr.family == AF_UNSPEC)
		return 0;
	other = prefix_range(identities);
	if (identities->addr.family != AF_INET || addr_range_overlaps(&other, &range))
		return config_error_at(text, config_path("network.identities"), err,
				       "must be IPv4 and outside network.subnet");
	return 0;
}

static int check_vip(const struct config_text *text, const struct router_config *config,
		     struct err *err)
{
	const struct config_path path = config_path("vip");

	if (!prefix_contains(&config->network.subnet, &config->vip))
		return config_error_at(text, path, err, "is not within network.subnet");
	if (addr_range_contains(&config->network.clients, &config->vip))
		return config_error_at(text, path, err, "is inside network.clients");
	if (addr_range_contains(&config->exits, &config->vip))
		return config_error_at(text, path, err, "is inside exits");
	if (!config->vip.bytes[3])
		return config_error_at(text, path, err,
				       "its last byte is the VRRP id and must not be 0");
	return 0;
}

static int check_exits(const struct config_text *text, const struct router_config *config,
		       struct err *err)
{
	struct addr_range subnet = prefix_range(&config->network.subnet);
	const struct config_path path = config_path("exits");

	if (!addr_range_within(&config->exits, &subnet))
		return config_error_at(text, path, err, "is not within network.subnet");
	if (addr_range_overlaps(&config->exits, &config->network.clients))
		return config_error_at(text, path, err, "overlaps network.clients");
	if (addr_range_size(&config->exits) > EXITS_MAX)
		return config_error_at(text, path, err, "has more than %d addresses", EXITS_MAX);
	return 0;
}

static int check_intranet(const struct config_text *text, const struct router_config *config,
			  struct err *err)
{
	const struct prefix *prefixes = config->intranet.items;

	for (size_t i = 0; i < config->intranet.n; i++) {
		const struct config_path path = config_path("intranet[%zu]", i);
		struct prefix low = prefix_network(&prefixes[i]);

		if (prefixes[i].addr.family != AF_INET)
			return config_error_at(text, path, err, "must be IPv4");
		if (!prefix_equal(&low, &prefixes[i]))
			return config_error_at(text, path, err, "has bits behind its length");
		if (!prefixes[i].len)
			return config_error_at(text, path, err, "leaves nothing for the exits");
	}
	return 0;
}

/* The paths go into the daemons' configuration files, which know no quoting. */
static bool path_plain(const char *path)
{
	return path[0] == '/' && strlen(path) <= RUN_DIR_MAX &&
	       !path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "/._-")];
}

static int check_rest(const struct config_text *text, const struct router_config *config,
		      struct err *err)
{
	if (!strcmp(config->sync.interface, config->network.interface))
		return config_error_at(text, config_path("sync.interface"), err,
				       "must not be network.interface");
	if (config->sync.advert_ms % 10)
		return config_error_at(text, config_path("sync.advert"), err,
				       "must be a multiple of 10ms");
	if (config->health.timeout_ms > config->health.interval_ms)
		return config_error_at(text, config_path("health.timeout"), err,
				       "must not be longer than health.interval");
	if (!path_plain(config->socket))
		return config_error_at(text, config_path("socket"), err,
				       "must be an absolute path of up to %d plain characters",
				       RUN_DIR_MAX);
	if (!path_plain(config->run_dir))
		return config_error_at(text, config_path("runDir"), err,
				       "must be an absolute path of up to %d plain characters",
				       RUN_DIR_MAX);
	return 0;
}

/* --- life --- */

void router_config_free(struct router_config *config)
{
	free(config->intranet.items);
	free(config->socket);
	free(config->run_dir);
	*config = (struct router_config){0};
}

static void defaults(struct router_config *config)
{
	*config = (struct router_config){
		.network.interface = "net1",
		.mtu = 1400,
		.sync = {.interface = "sync", .advert_ms = 100},
		.priority = 100,
		.health = {.port = 9001,
			   .interval_ms = 500,
			   .timeout_ms = 500,
			   .down = 2,
			   .up = 2,
			   .grace_ms = 4000},
		.metrics.port = 9000,
		.socket = xstrdup("/run/byway/router.sock"),
		.run_dir = xstrdup("/run/byway/router"),
	};
	addr_parse("0.0.0.0", &config->metrics.address);
	config->intranet.items = xcalloc(1, sizeof(struct prefix));
	config->intranet.n = 1;
	prefix_parse("10.0.0.0/8", config->intranet.items);
}

int router_config_decode(const struct config_text *text, struct router_config *ret, struct err *err)
{
	const struct config_value root = config_root(text);
	int r;

	defaults(ret);
	if (json_object_get(text->root, "intranet")) {
		free(ret->intranet.items);
		ret->intranet = (struct config_array){0};
	}
	r = config_object(&root, ret, &root_object, err);
	if (r >= 0)
		r = check_network(text, ret, err);
	if (r >= 0)
		r = check_vip(text, ret, err);
	if (r >= 0)
		r = check_exits(text, ret, err);
	if (r >= 0)
		r = check_intranet(text, ret, err);
	return r < 0 ? r : check_rest(text, ret, err);
}

int router_config_load(const char *file, struct router_config *ret, struct err *err)
{
	auto_config_text struct config_text text = {0};
	int r = config_text_load(file, &text, err);

	return r < 0 ? r : router_config_decode(&text, ret, err);
}

bool router_config_reloadable(const struct router_config *a, const struct router_config *b)
{
	return !strcmp(a->network.interface, b->network.interface) &&
	       prefix_equal(&a->network.subnet, &b->network.subnet) &&
	       addr_equal(&a->vip, &b->vip) && addr_equal(&a->exits.first, &b->exits.first) &&
	       addr_equal(&a->exits.last, &b->exits.last) && a->mtu == b->mtu &&
	       !strcmp(a->sync.interface, b->sync.interface) && a->sync.group == b->sync.group &&
	       a->sync.advert_ms == b->sync.advert_ms && a->priority == b->priority &&
	       addr_equal(&a->metrics.address, &b->metrics.address) &&
	       a->metrics.port == b->metrics.port && !strcmp(a->socket, b->socket) &&
	       !strcmp(a->run_dir, b->run_dir);
}

size_t router_config_exits(const struct router_config *config)
{
	return (size_t)addr_range_size(&config->exits);
}

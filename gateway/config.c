#include "gateway_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

/* RFC 791 at the lower end; at the upper what a VXLAN header leaves of the largest packet. */
static const struct config_bounds mtu_bounds = {576, 65535 - 50};
static const struct config_bounds port_bounds = {1, 65535};
static const struct config_bounds member_bounds = {1, 2};
static const struct config_bounds group_bounds = {1, 255};
static const struct config_bounds count_bounds = {1, 100};
/* An exit's tunnel is kept alive by its probes: hence not rarer than NAT forgets a UDP flow. */
static const struct config_bounds interval_bounds = {100, 10000};
static const struct config_bounds timeout_bounds = {100, 5000};
static const unsigned int exit_name_max = EXIT_NAME_MAX;

/* --- keys --- */

#define FIELD(key, decode, member, ...)                                             \
	{                                                                           \
		key, decode, offsetof(struct gateway_config, member), ##__VA_ARGS__ \
	}

static const struct config_field network_fields[] = {
	FIELD("interface", config_ifname, interface),
	FIELD("subnet", config_prefix, subnet, NULL, true),
	FIELD("clients", config_range, clients, NULL, true),
	FIELD("identities", config_prefix, identities),
};

static const struct config_field exit_fields[] = {
	{"name", config_label, offsetof(struct exit_config, name), &exit_name_max, true},
	{"address", config_addr, offsetof(struct exit_config, address), NULL, true},
	{"config", config_string, offsetof(struct exit_config, file), NULL, true},
	{"prefer", config_uint, offsetof(struct exit_config, prefer), &member_bounds, true},
};
static const struct config_object exit_object = {exit_fields, array_len(exit_fields)};
static const struct config_list exit_list = {
	.decode = config_object,
	.arg = &exit_object,
	.item_size = sizeof(struct exit_config),
	.max = EXITS_MAX,
};

/* VRRP carries hundredths of a second, in twelve bits (RFC 5798, 5.2.7). */
static const struct config_bounds advert_bounds = {10, 40950};

static const struct config_field sync_fields[] = {
	FIELD("interface", config_ifname, sync_interface),
	FIELD("group", config_uint, group, &group_bounds, true),
	FIELD("advert", config_duration, advert_ms, &advert_bounds),
};

static const struct config_list target_list = {
	.decode = config_addr,
	.item_size = sizeof(struct addr),
	.max = PROBE_TARGETS_MAX,
};
static const struct config_field probe_fields[] = {
	FIELD("targets", config_list, probe.targets, &target_list, true),
	FIELD("interval", config_duration, probe.interval_ms, &interval_bounds),
	FIELD("timeout", config_duration, probe.timeout_ms, &timeout_bounds),
	FIELD("down", config_uint, probe.down, &count_bounds),
	FIELD("up", config_uint, probe.up, &count_bounds),
};

static const struct config_field health_fields[] = {
	FIELD("port", config_uint, health_port, &port_bounds),
};

static const struct config_field metrics_fields[] = {
	FIELD("address", config_addr, metrics_address),
	FIELD("port", config_uint, metrics_port, &port_bounds),
};

static const struct config_object network_object = {network_fields, array_len(network_fields)};
static const struct config_object sync_object = {sync_fields, array_len(sync_fields)};
static const struct config_object probe_object = {probe_fields, array_len(probe_fields)};
static const struct config_object health_object = {health_fields, array_len(health_fields)};
static const struct config_object metrics_object = {metrics_fields, array_len(metrics_fields)};

/* The parts of an object all fill the one struct, hence offset 0. */
static const struct config_field root_fields[] = {
	{"network", config_object, 0, &network_object, true},
	FIELD("vip", config_addr, vip, NULL, true),
	FIELD("mtu", config_uint, mtu, &mtu_bounds),
	FIELD("exits", config_list, exits, &exit_list, true),
	FIELD("member", config_uint, member, &member_bounds, true),
	{"sync", config_object, 0, &sync_object, true},
	FIELD("track", config_ifname, track),
	{"probe", config_object, 0, &probe_object, true},
	{"health", config_object, 0, &health_object},
	{"metrics", config_object, 0, &metrics_object},
	FIELD("socket", config_string, socket),
	FIELD("runDir", config_string, run_dir),
};
static const struct config_object root_object = {root_fields, array_len(root_fields)};

static void set_defaults(struct gateway_config *c)
{
	*c = (struct gateway_config){
		.interface = "net1",
		.sync_interface = "sync",
		.advert_ms = 100,
		.track = "eth0",
		.probe = {.interval_ms = 500, .timeout_ms = 500, .down = 3, .up = 2},
		.health_port = 9001,
		.metrics_address = {.family = AF_INET},
		.metrics_port = 9000,
		.socket = xstrdup("/run/byway/gateway.sock"),
		.run_dir = xstrdup("/run/byway/gateway"),
	};
}

void gateway_config_clear(struct gateway_config *c)
{
	struct exit_config *exits = c->exits.items;

	for (size_t i = 0; i < c->exits.n; i++) {
		free(exits[i].name);
		free(exits[i].file);
		wgquick_clear(&exits[i].wg);
	}
	free(exits);
	free(c->probe.targets.items);
	free(c->socket);
	free(c->run_dir);
	*c = (struct gateway_config){0};
}

/* --- what a table cannot say --- */

static int check_network(const struct config_text *t, const struct gateway_config *c,
			 struct err *err)
{
	const struct addr_range subnet = prefix_range(&c->subnet);
	struct addr_range identities;
	char text[PREFIX_STRLEN];

	if (c->subnet.addr.family != AF_INET)
		return config_error_at(t, config_path("network.subnet"), err,
				       "must be an IPv4 prefix");
	prefix_format(&c->subnet, text);
	if (!addr_range_within(&c->clients, &subnet))
		return config_error_at(t, config_path("network.clients"), err,
				       "not within the subnet %s", text);
	if (!addr_range_contains(&subnet, &c->vip))
		return config_error_at(t, config_path("vip"), err, "not within the subnet %s",
				       text);
	if (addr_range_contains(&c->clients, &c->vip))
		return config_error_at(t, config_path("vip"), err, "lies inside network.clients");
	if (c->identities.addr.family == AF_UNSPEC)
		return 0;
	identities = prefix_range(&c->identities);
	if (c->identities.addr.family != AF_INET)
		return config_error_at(t, config_path("network.identities"), err,
				       "must be an IPv4 prefix");
	if (addr_range_overlaps(&identities, &subnet))
		return config_error_at(t, config_path("network.identities"), err,
				       "overlaps the subnet %s", text);
	return 0;
}

/* VRRP groups are told apart by the last byte of the address (lib/ha), also from the VIP's. */
static uint8_t last_byte(const struct addr *a)
{
	return a->bytes[addr_size(a) - 1];
}

static int check_exit_address(const struct config_text *t, const struct gateway_config *c, size_t i,
			      struct err *err)
{
	const struct addr_range subnet = prefix_range(&c->subnet);
	const struct addr *address = &config_exit(c, i)->address;
	const struct config_path path = config_path("exits[%zu].address", i);
	char text[PREFIX_STRLEN];

	if (!addr_range_contains(&subnet, address))
		return config_error_at(t, path, err, "not within the subnet %s",
				       prefix_format(&c->subnet, text));
	if (addr_range_contains(&c->clients, address))
		return config_error_at(t, path, err, "lies inside network.clients");
	if (addr_equal(address, &c->vip))
		return config_error_at(t, path, err, "is the VIP");
	if (addr_equal(address, &subnet.first) || addr_equal(address, &subnet.last) ||
	    !last_byte(address))
		return config_error_at(t, path, err, "cannot be a host's address");
	if (last_byte(address) == last_byte(&c->vip))
		return config_error_at(
			t, path, err,
			"ends in the same byte as the VIP, their elections would mix");
	for (size_t j = 0; j < i; j++) {
		const struct exit_config *other = config_exit(c, j);

		if (addr_equal(address, &other->address))
			return config_error_at(t, path, err, "exit \"%s\" has the same",
					       other->name);
		if (last_byte(address) == last_byte(&other->address))
			return config_error_at(
				t, path, err,
				"ends in the same byte as exit \"%s\", their elections would mix",
				other->name);
	}
	return 0;
}

static int check_exit_name(const struct config_text *t, const struct gateway_config *c, size_t i,
			   struct err *err)
{
	for (size_t j = 0; j < i; j++) {
		if (!strcmp(config_exit(c, i)->name, config_exit(c, j)->name))
			return config_error_at(t, config_path("exits[%zu].name", i), err,
					       "exit \"%s\" exists already",
					       config_exit(c, i)->name);
	}
	return 0;
}

static int check_exits(const struct config_text *t, const struct gateway_config *c, struct err *err)
{
	if (!c->exits.n)
		return config_error_at(t, config_path("exits"), err, "must not be empty");
	for (size_t i = 0; i < c->exits.n; i++) {
		if (check_exit_name(t, c, i, err) < 0 || check_exit_address(t, c, i, err) < 0)
			return err->code;
	}
	return 0;
}

static int check_interfaces(const struct config_text *t, const struct gateway_config *c,
			    struct err *err)
{
	if (c->advert_ms % 10)
		return config_error_at(t, config_path("sync.advert"), err,
				       "must be a multiple of 10ms");
	if (!strcmp(c->sync_interface, c->interface))
		return config_error_at(t, config_path("sync.interface"), err,
				       "is the network's interface");
	if (!strcmp(c->track, c->interface) || !strcmp(c->track, c->sync_interface))
		return config_error_at(
			t, config_path("track"), err,
			"must be the way to the providers, not the network's or the sync interface");
	return 0;
}

static int check_probe(const struct config_text *t, const struct gateway_config *c, struct err *err)
{
	const struct addr_range subnet = prefix_range(&c->subnet);
	const struct addr *targets = c->probe.targets.items;

	if (!c->probe.targets.n)
		return config_error_at(t, config_path("probe.targets"), err, "must not be empty");
	for (size_t i = 0; i < c->probe.targets.n; i++) {
		const struct config_path path = config_path("probe.targets[%zu]", i);

		if (targets[i].family != AF_INET)
			return config_error_at(t, path, err, "must be an IPv4 address");
		if (addr_range_contains(&subnet, &targets[i]))
			return config_error_at(t, path, err,
					       "lies inside the network, not behind a tunnel");
	}
	if (c->health_port == c->metrics_port)
		return config_error_at(t, config_path("health.port"), err,
				       "is the port of the metrics");
	return 0;
}

/* --- wg-quick files --- */

static int check_endpoints(const struct config_text *t, const struct gateway_config *c, size_t i,
			   struct err *err)
{
	const struct wgquick *wg = &config_exit(c, i)->wg;

	for (size_t j = 0; j < wg->n_peers; j++) {
		if (wg->peers[j].endpoint.host[0])
			return 0;
	}
	return config_error_at(t, config_path("exits[%zu].config", i), err,
			       "%s: no [Peer] has an Endpoint", config_exit(c, i)->file);
}

static int check_keys_differ(const struct config_text *t, const struct gateway_config *c, size_t i,
			     struct err *err)
{
	const struct exit_config *exit = config_exit(c, i);

	for (size_t j = 0; j < i; j++) {
		const struct exit_config *other = config_exit(c, j);

		if (wg_key_equal(&exit->wg.private_key, &other->wg.private_key))
			return config_error_at(t, config_path("exits[%zu].config", i), err,
					       "exits \"%s\" and \"%s\" have the same private key",
					       other->name, exit->name);
	}
	return 0;
}

/* A path relative to the directory of the configuration becomes one that can be opened. */
static void resolve_path(const char *config_file, char **path)
{
	const char *slash = strrchr(config_file, '/');
	char *full;

	if (**path == '/' || !slash)
		return;
	full = xasprintf("%.*s/%s", (int)(slash - config_file), config_file, *path);
	free(*path);
	*path = full;
}

static int load_exit(const struct config_text *t, const char *file, const struct gateway_config *c,
		     size_t i, struct err *err)
{
	struct exit_config *exit = (struct exit_config *)c->exits.items + i;
	struct err why = {0};

	resolve_path(file, &exit->file);
	if (wgquick_load(exit->file, &exit->wg, &why) < 0) {
		/* A line of that file speaks for itself; where it cannot be read at all, say who
		 * asked. */
		if (why.code == -EINVAL)
			return err_set(err, -EINVAL, "%s", why.text);
		return config_error_at(t, config_path("exits[%zu].config", i), err, "%s", why.text);
	}
	if (check_endpoints(t, c, i, err) < 0)
		return err->code;
	return check_keys_differ(t, c, i, err);
}

static int load(const struct config_text *t, const char *file, struct gateway_config *c,
		struct err *err)
{
	const struct config_value root = config_root(t);
	int r = config_object(&root, c, &root_object, err);

	if (r < 0)
		return r;
	if (check_network(t, c, err) < 0 || check_exits(t, c, err) < 0 ||
	    check_interfaces(t, c, err) < 0 || check_probe(t, c, err) < 0)
		return err->code;
	for (size_t i = 0; i < c->exits.n; i++) {
		if (load_exit(t, file, c, i, err) < 0)
			return err->code;
	}
	return 0;
}

int gateway_config_load(const char *file, struct gateway_config *ret, struct err *err)
{
	auto_config_text struct config_text t = {0};
	int r = config_text_load(file, &t, err);

	if (r < 0)
		return r;
	set_defaults(ret);
	r = load(&t, file, ret, err);
	if (r < 0)
		gateway_config_clear(ret);
	return r;
}

bool gateway_config_same_holdings(const struct gateway_config *a, const struct gateway_config *b)
{
	if (a->exits.n != b->exits.n || a->member != b->member || a->group != b->group ||
	    a->advert_ms != b->advert_ms || strcmp(a->sync_interface, b->sync_interface) != 0 ||
	    strcmp(a->track, b->track) != 0 || strcmp(a->interface, b->interface) != 0 ||
	    strcmp(a->run_dir, b->run_dir) != 0)
		return false;
	for (size_t i = 0; i < a->exits.n; i++) {
		const struct exit_config *x = config_exit(a, i), *y = config_exit(b, i);

		if (strcmp(x->name, y->name) != 0 || !addr_equal(&x->address, &y->address) ||
		    x->prefer != y->prefer)
			return false;
	}
	return true;
}

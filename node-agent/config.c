/* Reading the configuration: what each key may be is in the tables, what keys mean together below.
 */
#include "node_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

const char *const node_role_names[] = {"client", "router", "sync", NULL};

/* IPv4 asks for 576 bytes at least; a device can have at most 65535. */
static const struct config_bounds mtu_bounds = {576, 65535 - VXLAN_OVERHEAD_V4};
static const struct config_bounds vni_bounds = {1, (1U << 24) - 1};
static const struct config_bounds port_bounds = {1, 65535};

/* "br-" and a name must be an interface's. */
static const unsigned int network_name_max = 12;
static const unsigned int node_name_max = 253;

static const struct config_field peer_fields[] = {
	{"name", config_label, offsetof(struct node_peer, name), &node_name_max, true},
	{"address", config_addr, offsetof(struct node_peer, address), NULL, true},
};
static const struct config_object peer_object = {peer_fields, array_len(peer_fields)};
static const struct config_list peer_list = {
	.decode = config_object,
	.arg = &peer_object,
	.item_size = sizeof(struct node_peer),
	.max = 5000,
};

static const struct config_field lease_fields[] = {
	{"role", config_enum, offsetof(struct node_lease, role), node_role_names, true},
	{"range", config_range, offsetof(struct node_lease, range), NULL, true},
};
static const struct config_object lease_object = {lease_fields, array_len(lease_fields)};
static const struct config_list lease_list = {
	.decode = config_object,
	.arg = &lease_object,
	.item_size = sizeof(struct node_lease),
	.max = 64,
};

static const struct config_field network_fields[] = {
	{"name", config_label, offsetof(struct node_network, name), &network_name_max, true},
	{"vni", config_uint, offsetof(struct node_network, vni), &vni_bounds, true},
	{"port", config_uint, offsetof(struct node_network, port), &port_bounds, false},
	{"mtu", config_uint, offsetof(struct node_network, mtu), &mtu_bounds, false},
	{"subnet", config_prefix, offsetof(struct node_network, subnet), NULL, true},
	{"vip", config_addr, offsetof(struct node_network, vip), NULL, false},
	{"leases", config_list, offsetof(struct node_network, leases), &lease_list, false},
};
static const struct config_object network_object = {network_fields, array_len(network_fields)};

static void network_init(void *item)
{
	((struct node_network *)item)->port =
		14789; /* 4789 and 8472 are taken by others (facts.md) */
}

static const struct config_list network_list = {
	.decode = config_object,
	.arg = &network_object,
	.item_size = sizeof(struct node_network),
	.max = 64,
	.init = network_init,
};

static const struct config_field metrics_fields[] = {
	{"address", config_addr, offsetof(struct node_config, metrics.address), NULL, true},
	{"port", config_uint, offsetof(struct node_config, metrics.port), &port_bounds, true},
};
static const struct config_object metrics_object = {metrics_fields, array_len(metrics_fields)};

static const struct config_field root_fields[] = {
	{"node", config_label, offsetof(struct node_config, node), &node_name_max, true},
	{"nodes", config_list, offsetof(struct node_config, nodes), &peer_list, true},
	{"netns", config_string, offsetof(struct node_config, netns), NULL, false},
	{"leaseDir", config_string, offsetof(struct node_config, lease_dir), NULL, false},
	{"socket", config_string, offsetof(struct node_config, socket), NULL, false},
	{"metrics", config_object, 0, &metrics_object, false},
	{"networks", config_list, offsetof(struct node_config, networks), &network_list, true},
};
static const struct config_object root_object = {root_fields, array_len(root_fields)};

void node_config_free(struct node_config *config)
{
	struct node_peer *peers = config->nodes.items;
	struct node_network *networks = config->networks.items;

	for (size_t i = 0; i < config->nodes.n; i++)
		free(peers[i].name);
	for (size_t i = 0; i < config->networks.n; i++) {
		free(networks[i].name);
		free(networks[i].leases.items);
	}
	free(peers);
	free(networks);
	free(config->node);
	free(config->netns);
	free(config->lease_dir);
	free(config->socket);
	config_text_free(&config->text);
	*config = (struct node_config){0};
}

/* --- what the keys mean together --- */

static int check_path(const struct node_config *c, const char *key, const char *value,
		      struct err *err)
{
	if (value[0] == '/')
		return 0;
	return config_error_at(&c->text, config_path("%s", key), err, "must be an absolute path");
}

static int check_nodes(const struct node_config *c, struct err *err)
{
	const struct node_peer *peers = node_config_peers(c);

	for (size_t i = 0; i < c->nodes.n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!strcmp(peers[i].name, peers[j].name))
				return config_error_at(&c->text, config_path("nodes[%zu].name", i),
						       err, "\"%s\" is there twice", peers[i].name);
			if (addr_equal(&peers[i].address, &peers[j].address))
				return config_error_at(
					&c->text, config_path("nodes[%zu].address", i), err,
					"the address of \"%s\" as well", peers[j].name);
		}
		if (peers[i].address.family != peers[0].address.family)
			return config_error_at(&c->text, config_path("nodes[%zu].address", i), err,
					       "all nodes must have addresses of one family");
	}
	if (!node_config_self(c))
		return config_error_at(&c->text, config_path("node"), err,
				       "\"%s\" is not among the nodes", c->node);
	return 0;
}

/* The addresses of a subnet that a host can have. */
static struct addr_range host_range(const struct prefix *subnet)
{
	struct addr_range r = prefix_range(subnet);

	if (subnet->len < 31) {
		r.first = addr_add(&r.first, 1);
		r.last = addr_add(&r.last, -1);
	}
	return r;
}

static int check_subnet(const struct node_config *c, size_t i, struct err *err)
{
	const struct node_network *networks = node_config_networks(c), *n = &networks[i];
	struct prefix network = prefix_network(&n->subnet);
	struct addr_range range = prefix_range(&n->subnet);
	const struct config_path path = config_path("networks[%zu].subnet", i);
	char buf[PREFIX_STRLEN];

	if (n->subnet.addr.family != AF_INET)
		return config_error_at(&c->text, path, err, "must be an IPv4 prefix");
	if (!prefix_equal(&network, &n->subnet))
		return config_error_at(&c->text, path, err, "has host bits, did you mean %s?",
				       prefix_format(&network, buf));
	for (size_t j = 0; j < i; j++) {
		struct addr_range other = prefix_range(&networks[j].subnet);

		if (addr_range_overlaps(&range, &other))
			return config_error_at(&c->text, path, err,
					       "overlaps the subnet of network \"%s\"",
					       networks[j].name);
	}
	for (size_t j = 0; j < c->nodes.n; j++) {
		if (addr_range_contains(&range, &node_config_peers(c)[j].address))
			return config_error_at(&c->text, path, err,
					       "contains the underlay address of node \"%s\"",
					       node_config_peers(c)[j].name);
	}
	return 0;
}

static int check_leases(const struct node_config *c, size_t i, struct err *err)
{
	const struct node_network *n = &node_config_networks(c)[i];
	const struct node_lease *leases = node_network_leases(n);
	struct addr_range hosts = host_range(&n->subnet);
	char buf[RANGE_STRLEN];

	for (size_t j = 0; j < n->leases.n; j++) {
		const struct config_path path =
			config_path("networks[%zu].leases[%zu].range", i, j);

		if (!addr_range_within(&leases[j].range, &hosts))
			return config_error_at(&c->text, path, err,
					       "is not within the subnet's hosts %s",
					       addr_range_format(&hosts, buf));
		if (addr_range_contains(&leases[j].range, &n->vip))
			return config_error_at(&c->text, path, err, "contains the VIP");
		for (size_t k = 0; k < j; k++) {
			if (addr_range_overlaps(&leases[j].range, &leases[k].range))
				return config_error_at(&c->text, path, err, "overlaps %s",
						       addr_range_format(&leases[k].range, buf));
		}
	}
	return 0;
}

static int check_network(const struct node_config *c, size_t i, struct err *err)
{
	const struct node_network *networks = node_config_networks(c), *n = &networks[i];
	struct addr_range hosts = host_range(&n->subnet);
	char buf[RANGE_STRLEN];
	int r;

	for (size_t j = 0; j < i; j++) {
		if (!strcmp(n->name, networks[j].name))
			return config_error_at(&c->text, config_path("networks[%zu].name", i), err,
					       "\"%s\" is there twice", n->name);
		if (n->vni == networks[j].vni)
			return config_error_at(&c->text, config_path("networks[%zu].vni", i), err,
					       "is that of network \"%s\"", networks[j].name);
	}
	r = check_subnet(c, i, err);
	if (r < 0)
		return r;
	if (n->vip.family != AF_UNSPEC && !addr_range_contains(&hosts, &n->vip))
		return config_error_at(&c->text, config_path("networks[%zu].vip", i), err,
				       "is not within the subnet's hosts %s",
				       addr_range_format(&hosts, buf));
	return check_leases(c, i, err);
}

static int check(const struct node_config *c, struct err *err)
{
	int r = check_path(c, "netns", c->netns, err);

	if (r == 0)
		r = check_path(c, "leaseDir", c->lease_dir, err);
	if (r == 0)
		r = check_path(c, "socket", c->socket, err);
	if (r == 0)
		r = check_nodes(c, err);
	if (r == 0 && !c->networks.n)
		r = config_error_at(&c->text, config_path("networks"), err,
				    "must name at least one network");
	for (size_t i = 0; r == 0 && i < c->networks.n; i++)
		r = check_network(c, i, err);
	return r;
}

/* --- outside --- */

int node_config_decode(struct config_text *text, struct node_config *ret, struct err *err)
{
	struct config_value root;
	int r;

	ret->text = *text;
	*text = (struct config_text){0};
	ret->netns = xstrdup("/run/netns/byway");
	ret->lease_dir = xstrdup(LEASE_DIR);
	ret->socket = xstrdup("/run/byway/node.sock");
	root = config_root(&ret->text);
	r = config_object(&root, ret, &root_object, err);
	return r < 0 ? r : check(ret, err);
}

int node_config_load(const char *file, struct node_config *ret, struct err *err)
{
	auto_config_text struct config_text text = {0};
	int r = config_text_load(file, &text, err);

	return r < 0 ? r : node_config_decode(&text, ret, err);
}

const struct node_peer *node_config_self(const struct node_config *config)
{
	const struct node_peer *peers = node_config_peers(config);

	for (size_t i = 0; i < config->nodes.n; i++) {
		if (!strcmp(peers[i].name, config->node))
			return &peers[i];
	}
	return NULL;
}

static unsigned int overhead(const struct node_config *config)
{
	return node_config_self(config)->address.family == AF_INET6 ? VXLAN_OVERHEAD_V6
								    : VXLAN_OVERHEAD_V4;
}

unsigned int node_network_mtu(const struct node_config *config, const struct node_network *network,
			      unsigned int underlay_mtu)
{
	return network->mtu ? network->mtu : underlay_mtu - overhead(config);
}

int node_config_check_underlay(const struct node_config *config, unsigned int underlay_mtu,
			       struct err *err)
{
	unsigned int max = underlay_mtu - overhead(config);

	for (size_t i = 0; i < config->networks.n; i++) {
		const struct node_network *n = &node_config_networks(config)[i];
		const struct config_path path = config_path("networks[%zu].mtu", i);

		if (max < mtu_bounds.min || max > underlay_mtu)
			return config_error_at(&config->text, path, err,
					       "the underlay's MTU of %u bytes is too small",
					       underlay_mtu);
		if (n->mtu > max)
			return config_error_at(
				&config->text, path, err,
				"%u is more than the %u bytes that the underlay's MTU of %u leaves",
				n->mtu, max, underlay_mtu);
	}
	return 0;
}

#include "status.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "desired.h"
#include "version.h"

/* Does traffic pass: are the bridge and its VXLAN up, and is the one a port of the other? */
static bool network_up(struct node_agent *agent, const struct node_network *network, char *why,
		       size_t size)
{
	char bridge[IFNAMSIZ], vxlan[IFNAMSIZ];
	struct link_object b, v;
	struct err err;

	node_bridge_name(network, bridge);
	node_vxlan_name(network, vxlan);
	if (net_link_get(agent->net, bridge, &b, &err) < 0 ||
	    net_link_get(agent->net, vxlan, &v, &err) < 0)
		snprintf(why, size, "network %s: %.90s", network->name, err.text);
	else if (!b.up || !v.up)
		snprintf(why, size, "network %s: %s is down", network->name, b.up ? vxlan : bridge);
	else if (strcmp(v.master, bridge) != 0)
		snprintf(why, size, "network %s: %s is no port of %s", network->name, vxlan,
			 bridge);
	else
		return true;
	return false;
}

static bool ready(char *why, size_t size, void *data)
{
	struct node_agent *agent = data;
	struct err err;

	for (size_t i = 0; i < agent->config.networks.n; i++) {
		if (!network_up(agent, &node_config_networks(&agent->config)[i], why, size))
			return false;
	}
	if (node_check_isolation(agent, &err) < 0) {
		snprintf(why, size, "clients are not isolated: %.90s", err.text);
		return false;
	}
	snprintf(why, size, "%zu networks up", agent->config.networks.n);
	return true;
}

/* --- leases --- */

struct lease_count {
	const char *role;
	unsigned int used;
};

static void count_lease(const struct lease *lease, void *data)
{
	struct lease_count *count = data;

	count->used += !strcmp(lease->role, count->role);
}

/* Leases of a role in use, and the addresses there are for it. */
static unsigned int leases_used(const struct node_agent *agent, const struct node_network *network,
				int role)
{
	auto_lease_table struct lease_table *table = NULL;
	struct lease_count count = {.role = node_role_names[role]};
	struct err err;

	if (lease_open(agent->config.lease_dir, network->name, &table, &err) == 0)
		lease_each(table, count_lease, &count);
	return count.used;
}

static uint64_t leases_total(const struct node_network *network, int role)
{
	uint64_t total = 0;

	for (size_t i = 0; i < network->leases.n; i++) {
		const struct node_lease *lease = &node_network_leases(network)[i];

		if (lease->role == role)
			total += addr_range_size(&lease->range);
	}
	return total;
}

/* --- /status --- */

static json_t *network_status(struct node_agent *agent, const struct node_network *network)
{
	char bridge[IFNAMSIZ], vxlan[IFNAMSIZ], subnet[PREFIX_STRLEN], why[128] = "";
	bool up = network_up(agent, network, why, sizeof(why));
	json_t *leases = json_object();

	node_bridge_name(network, bridge);
	node_vxlan_name(network, vxlan);
	for (int role = 0; node_role_names[role]; role++) {
		uint64_t total = leases_total(network, role);

		if (total)
			json_object_set_new(leases, node_role_names[role],
					    json_pack("{s:i,s:I}", "used",
						      (int)leases_used(agent, network, role),
						      "total", (json_int_t)total));
	}
	return json_pack("{s:s,s:b,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:o}", "name", network->name, "up",
			 up, "why", why, "subnet", prefix_format(&network->subnet, subnet),
			 "bridge", bridge, "vxlan", vxlan, "vni", (int)network->vni, "port",
			 (int)network->port, "mtu",
			 (int)node_network_mtu(&agent->config, network, agent->underlay_mtu),
			 "leases", leases);
}

static json_t *status(void *data)
{
	struct node_agent *agent = data;
	const struct node_config *config = &agent->config;
	json_t *networks = json_array(), *nodes = json_array();
	char address[ADDR_STRLEN], why[128] = "";
	bool is_ready = ready(why, sizeof(why), agent);

	for (size_t i = 0; i < config->networks.n; i++)
		json_array_append_new(networks,
				      network_status(agent, &node_config_networks(config)[i]));
	for (size_t i = 0; i < config->nodes.n; i++) {
		const struct node_peer *peer = &node_config_peers(config)[i];

		json_array_append_new(nodes, json_pack("{s:s,s:s}", "name", peer->name, "address",
						       addr_format(&peer->address, address)));
	}
	return json_pack("{s:s,s:s,s:s,s:s,s:b,s:s,s:i,s:o,s:o,s:{s:I,s:I,s:I,s:I,s:s}}", "program",
			 "byway-node", "version", BYWAY_VERSION, "node", config->node, "netns",
			 config->netns, "ready", is_ready, "why", why, "underlayMtu",
			 (int)agent->underlay_mtu, "nodes", nodes, "networks", networks,
			 "reconcile", "passes", (json_int_t)agent->passes, "failures",
			 (json_int_t)agent->failures, "changes", (json_int_t)agent->steps,
			 "reclaimedLeases", (json_int_t)agent->reclaimed, "lastError",
			 agent->last.code ? agent->last.text : "");
}

/* --- /metrics --- */

static void head(struct strbuf *b, const char *name, const char *type, const char *help)
{
	strbuf_add(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct strbuf *b, const char *name, const char *help, uint64_t value)
{
	head(b, name, "counter", help);
	strbuf_add(b, "%s %llu\n", name, (unsigned long long)value);
}

static void network_metrics(struct strbuf *b, struct node_agent *agent)
{
	head(b, "byway_node_network_up", "gauge", "Whether a network's bridge and VXLAN are up.");
	for (size_t i = 0; i < agent->config.networks.n; i++) {
		const struct node_network *n = &node_config_networks(&agent->config)[i];
		char why[128];

		strbuf_add(b, "byway_node_network_up{network=\"%s\"} %d\n", n->name,
			   network_up(agent, n, why, sizeof(why)));
	}
}

static void lease_metrics(struct strbuf *b, const struct node_agent *agent, bool total)
{
	const char *name = total ? "byway_node_lease_addresses" : "byway_node_leases_used";

	head(b, name, "gauge",
	     total ? "Addresses this node may hand out." : "Addresses handed out.");
	for (size_t i = 0; i < agent->config.networks.n; i++) {
		const struct node_network *n = &node_config_networks(&agent->config)[i];

		for (int role = 0; node_role_names[role]; role++) {
			uint64_t all = leases_total(n, role);

			if (!all)
				continue;
			strbuf_add(b, "%s{network=\"%s\",role=\"%s\"} %llu\n", name, n->name,
				   node_role_names[role],
				   (unsigned long long)(total ? all : leases_used(agent, n, role)));
		}
	}
}

static void metrics(struct strbuf *b, void *data)
{
	struct node_agent *agent = data;

	head(b, "byway_build_info", "gauge", "Version of this program.");
	strbuf_add(b, "byway_build_info{program=\"byway-node\",version=\"%s\"} 1\n", BYWAY_VERSION);
	head(b, "byway_node_peers", "gauge", "Other nodes of the overlay.");
	strbuf_add(b, "byway_node_peers %zu\n", agent->config.nodes.n - 1);
	network_metrics(b, agent);
	lease_metrics(b, agent, false);
	lease_metrics(b, agent, true);
	counter(b, "byway_node_reconcile_passes_total", "Looks at the kernel.", agent->passes);
	counter(b, "byway_node_reconcile_failures_total", "Looks that ended with an error.",
		agent->failures);
	counter(b, "byway_node_reconcile_changes_total", "Changes of the kernel's objects.",
		agent->steps);
	counter(b, "byway_node_leases_reclaimed_total",
		"Addresses taken back because their pod was gone without a DEL.", agent->reclaimed);
}

struct obs_callbacks node_status_callbacks(struct node_agent *agent)
{
	return (struct obs_callbacks){
		.status = status, .metrics = metrics, .ready = ready, .data = agent};
}

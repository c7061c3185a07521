/* CHECK: is the attachment still what ADD made? What is wanted is built as ADD builds it, with the
 * values of prevResult, the last word of the chain: a plugin behind us may have given the interface
 * another MAC address or MTU. What others added to the interface or the pod is not looked at. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "cleanup.h"
#include "env.h"
#include "ipam.h"
#include "lease.h"
#include "mem.h"
#include "netconf.h"
#include "netns.h"
#include "result.h"
#include "role.h"

struct check {
	const struct cni_env *env;
	struct netconf conf;
	struct result told;
	int pod_netns;
	int bridge_netns;
	struct attachment want;
};

static void check_clear(struct check *c)
{
	netconf_clear(&c->conf);
	result_clear(&c->told);
	attachment_clear(&c->want);
	cleanup_close(&c->pod_netns);
	cleanup_close(&c->bridge_netns);
}
#define auto_check __attribute__((cleanup(check_clear)))

static enum cni_code load(struct check *c, const struct config_text *text, struct err *err)
{
	enum cni_code code = netconf_load(text, &c->conf, err);

	if (code)
		return code;
	if (c->conf.version < CNI_0_4_0) {
		err_set(err, -ENOTSUP, "CHECK needs cniVersion 0.4.0 or newer: it is %s",
			cni_version_names[c->conf.version]);
		return CNI_BAD_VERSION;
	}
	if (!c->conf.prev_result) {
		err_set(err, -EINVAL, "key \"prevResult\" is missing: CHECK compares with it");
		return CNI_BAD_CONFIG;
	}
	return result_previous(text, c->conf.version, &c->told, err) < 0 ? CNI_BAD_CONFIG : CNI_OK;
}

/* --- what is wanted --- */

/* The pod's end in the result; -1 where it is not there. */
static int64_t find_interface(const struct result *told, const struct cni_env *env)
{
	const struct result_interface *items = told->interfaces.items;

	for (size_t i = 0; i < told->interfaces.n; i++) {
		if (items[i].sandbox && !strcmp(items[i].name, env->ifname))
			return (int64_t)i;
	}
	return -1;
}

static int want_link(struct check *c, const struct result_interface *told, struct err *err)
{
	attach_name(&c->want, c->env->container_id, c->env->ifname);
	snprintf(c->want.bridge, sizeof(c->want.bridge), "br-%s", c->conf.network);
	c->want.client = c->conf.role == ROLE_CLIENT;
	c->want.mtu = told->mtu > 0 ? (unsigned int)told->mtu : 0;
	if (told->mac && mac_parse(told->mac, &c->want.mac) < 0)
		return err_set(err, -EINVAL, "prevResult: \"%.60s\" is not a MAC address",
			       told->mac);
	return 0;
}

/* Of the interface's addresses, the one on our network. */
static int want_address(struct check *c, int64_t interface, struct err *err)
{
	const struct result_ip *ips = c->told.ips.items;
	char subnet[PREFIX_STRLEN];

	if (c->conf.role == ROLE_GATEWAY)
		return 0;
	for (size_t i = 0; i < c->told.ips.n; i++) {
		if (ips[i].interface != interface ||
		    !prefix_contains(&c->conf.subnet, &ips[i].addr.addr))
			continue;
		c->want.addr = ips[i].addr;
		return 0;
	}
	return err_set(err, -EINVAL, "prevResult: %s has no address in %s", c->env->ifname,
		       prefix_format(&c->conf.subnet, subnet));
}

/* The role's routes, and what a delegate gave: all that is said to go by a gateway on our network.
 */
static void want_routes(struct check *c)
{
	const struct result_route *routes = c->told.routes.items;
	struct attachment *want = &c->want;

	role_routes(&c->conf, want);
	for (size_t i = 0; i < c->told.routes.n; i++) {
		const struct result_route *r = &routes[i];

		if (r->table > 0 || !prefix_contains(&c->conf.subnet, &r->gw))
			continue;
		want->routes =
			xreallocarray(want->routes, want->n_routes + 1, sizeof(*want->routes));
		want->routes[want->n_routes++] = (struct attach_route){
			.dst = prefix_network(&r->dst),
			.type = ROUTE_UNICAST,
			.via = r->gw,
			.metric = r->priority > 0 ? (unsigned int)r->priority : 0};
	}
}

static enum cni_code build(struct check *c, struct err *err)
{
	const struct result_interface *interfaces = c->told.interfaces.items;
	int64_t i = find_interface(&c->told, c->env);

	if (i < 0) {
		err_set(err, -EINVAL, "prevResult: there is no interface %s in a pod",
			c->env->ifname);
		return CNI_BAD_CONFIG;
	}
	if (want_link(c, &interfaces[i], err) < 0 || want_address(c, i, err) < 0)
		return CNI_BAD_CONFIG;
	want_routes(c);
	return CNI_OK;
}

/* --- what is there --- */

static enum cni_code open_namespaces(struct check *c, struct err *err)
{
	enum cni_code code =
		netns_open_both(c->env->netns, c->conf.netns, &c->pod_netns, &c->bridge_netns, err);

	c->want.pod_netns = c->pod_netns;
	c->want.bridge_netns = c->bridge_netns;
	return code;
}

static enum cni_code check_network(const struct check *c, struct err *err)
{
	char vxlan[IFNAMSIZ];

	snprintf(vxlan, sizeof(vxlan), "vx-%s", c->conf.network);
	if (attach_network_ready(c->bridge_netns, c->want.bridge, vxlan, err) == 0)
		return CNI_OK;
	err_wrap(err, "the node agent (byway-node) is not ready");
	return CNI_AGAIN;
}

static enum cni_code check_lease(const struct check *c, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	const struct addr *want = &c->want.addr.addr;
	char is[ADDR_STRLEN], wanted[ADDR_STRLEN];
	struct lease lease;

	if (c->conf.role == ROLE_GATEWAY)
		return CNI_OK;
	if (lease_open(c->conf.lease_dir, c->conf.network, &table, err) < 0) {
		err_wrap(err, "the node agent (byway-node) is not ready");
		return CNI_AGAIN;
	}
	if (lease_find(table, c->env->container_id, c->env->ifname, &lease, err) < 0)
		return CNI_CHANGED;
	if (addr_equal(&lease.addr, want) && lease.state == LEASE_ACTIVE)
		return CNI_OK;
	err_set(err, -ESTALE, "network %s: the lease is for %s%s instead of %s", c->conf.network,
		addr_format(&lease.addr, is), lease.state == LEASE_ACTIVE ? "" : ", not active,",
		addr_format(want, wanted));
	return CNI_CHANGED;
}

enum cni_code cni_check(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	auto_check struct check c = {.env = env, .pod_netns = -1, .bridge_netns = -1};
	enum cni_code code = load(&c, text, err);

	if (!code)
		code = build(&c, err);
	if (!code)
		code = open_namespaces(&c, err);
	if (!code)
		code = check_network(&c, err);
	if (code)
		return code;
	if (attach_adapt(&c.want, err) < 0 || attach_check(&c.want, err) < 0)
		return CNI_CHANGED;
	return c.conf.ipam_type ? ipam_check(env, &c.conf, text, err) : check_lease(&c, err);
}

/* STATUS: would an ADD find what it needs? Looks, and changes nothing. Where the bridge is there and
 * leads nowhere, the pods that are on it already suffer as well. */
#include <errno.h>
#include <stdio.h>

#include "attach.h"
#include "cleanup.h"
#include "env.h"
#include "ipam.h"
#include "isolation.h"
#include "lease.h"
#include "netconf.h"
#include "netns.h"

static enum cni_code check_network(const struct netconf *c, struct err *err)
{
	char bridge[IFNAMSIZ], vxlan[IFNAMSIZ];
	auto_close int netns = -1;
	int r;

	snprintf(bridge, sizeof(bridge), "br-%s", c->network);
	snprintf(vxlan, sizeof(vxlan), "vx-%s", c->network);
	if (netns_open(c->netns, &netns, err) < 0)
		return CNI_NOT_AVAILABLE;
	r = attach_network_ready(netns, bridge, vxlan, err);
	if (r == -ENETDOWN)
		return CNI_LIMITED;
	if (r == 0 && c->role == ROLE_CLIENT)
		r = isolation_ready(netns, err);
	return r < 0 ? CNI_NOT_AVAILABLE : CNI_OK;
}

static enum cni_code check_addresses(const struct netconf *c, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;

	if (c->role == ROLE_GATEWAY)
		return CNI_OK;
	if (lease_open(c->lease_dir, c->network, &table, err) < 0 ||
	    lease_available(table, cni_role_names[c->role], err) < 0)
		return CNI_NOT_AVAILABLE;
	return CNI_OK;
}

enum cni_code cni_status(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	auto_netconf struct netconf conf = {0};
	enum cni_code code = netconf_load(text, &conf, err);

	if (!code)
		code = check_network(&conf, err);
	if (code)
		return code;
	return conf.ipam_type ? ipam_status(env, &conf, text, err) : check_addresses(&conf, err);
}

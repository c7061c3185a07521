/* STATUS: would an ADD find what it needs? Looks, and changes nothing. */
#include <errno.h>
#include <stdio.h>

#include "attach.h"
#include "cleanup.h"
#include "env.h"
#include "isolation.h"
#include "lease.h"
#include "netconf.h"
#include "netns.h"

enum cni_code cni_status(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	auto_netconf struct netconf conf = {0};
	auto_lease_table struct lease_table *table = NULL;
	auto_close int netns = -1;
	char bridge[IFNAMSIZ];
	enum cni_code code = netconf_load(text, &conf, err);

	if (code)
		return code;
	snprintf(bridge, sizeof(bridge), "br-%s", conf.network);
	if (netns_open(conf.netns, &netns, err) < 0 || attach_bridge_ready(netns, bridge, err) < 0)
		return CNI_NOT_AVAILABLE;
	if (conf.role == ROLE_CLIENT && isolation_ready(netns, err) < 0)
		return CNI_NOT_AVAILABLE;
	if (conf.role == ROLE_GATEWAY)
		return CNI_OK;
	if (lease_open(conf.lease_dir, conf.network, &table, err) < 0 ||
	    lease_available(table, cni_role_names[conf.role], err) < 0)
		return CNI_NOT_AVAILABLE;
	return CNI_OK;
}

/* DEL undoes what is there and succeeds whatever is not: namespace, link, lease, table, agent. It
 * never enters the pod's namespace, whose path may meanwhile lead to another pod's: the pair is
 * deleted by its port, which the alias proves to be ours, and the kernel takes the pod's end with
 * it. The unreachable routes stay, so that a process that lives on does not find another way out.
 */
#include <errno.h>

#include "attach.h"
#include "cleanup.h"
#include "env.h"
#include "ipam.h"
#include "lease.h"
#include "netconf.h"
#include "netns.h"

/* There is nothing of the kind at this path, now or later. */
static bool is_nowhere(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -EISDIR || r == -ELOOP || r == -EINVAL ||
	       r == -ENAMETOOLONG;
}

static int delete_link(const struct cni_env *env, const struct netconf *c, struct err *err)
{
	struct attachment link = {.bridge_netns = -1};
	auto_close int netns = -1;
	int r = netns_open(c->netns, &netns, err);

	if (is_nowhere(r))
		return 0; /* with the namespace its ports are gone, and their peers */
	if (r < 0)
		return r;
	attach_name(&link, env->container_id, env->ifname);
	link.bridge_netns = netns;
	return attach_delete(&link, err);
}

static int release_lease(const struct cni_env *env, const struct netconf *c, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	int r;

	if (!c->network)
		return 0;
	r = lease_open(c->lease_dir, c->network, &table, err);
	/* Nobody can release anything from a table that is missing or damaged, now or later. */
	if (r < 0)
		return is_nowhere(r) || r == -EUCLEAN ? 0 : r;
	return lease_release(table, env->container_id, env->ifname, lease_now(), err);
}

enum cni_code cni_del(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	auto_netconf struct netconf conf = {0};
	enum cni_code code = CNI_OK, delegate;
	struct err second = {0};

	netconf_load_names(text, &conf);
	/* The link first: an address is free when nothing has it any more. */
	if (delete_link(env, &conf, err) < 0)
		return CNI_IO;
	if (release_lease(env, &conf, err) < 0)
		code = CNI_IO;
	delegate = ipam_del(env, &conf, text, code ? &second : err);
	return code ? code : delegate;
}

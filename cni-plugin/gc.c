/* Theory of operation
 *
 * A runtime says which of *its* attachments are valid. Others on the same node have the same network
 * and the same lease table: podman beside the kubelet, or two network configurations of one runtime
 * that share a network (clients in one, routers in another). An attachment that is not listed may
 * therefore be somebody else's and alive, and nothing that we could note down about a runtime would
 * tell for certain (two containerds differ in nothing that a plugin sees). So the list can only
 * protect; of what is not on it, what is freed is dead by proof:
 *
 * - An active lease without a port. A pair of interfaces lives exactly as long as the pod's
 *   namespace; the lease became active when the pair was there, so the namespace is gone, and
 *   everybody in it.
 * - A lease that was reserved, never made active, and is older than any runtime's patience with an
 *   ADD: its ADD died half-way and told nobody, so no runtime can hold it. What it made of the link
 *   goes first, and the lease after it.
 *
 * What a namespace keeps alive that its runtime has lost is not freed here: libcni sends DEL for
 * every stale attachment that it remembers before it sends GC. A link without a lease (role gateway)
 * holds nothing that anybody waits for, and goes with its namespace.
 *
 * Where the node agent's namespace cannot be opened, no port can be seen and nothing is proven:
 * nothing is freed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "cleanup.h"
#include "gc.h"
#include "ipam.h"
#include "lease.h"
#include "log.h"
#include "netns.h"

/* kubelet gives up a sandbox after four minutes, others earlier. */
#define GRACE_SECONDS 300

struct gc {
	const struct gc_list *valid;
	int bridge_netns;
	int64_t now;
	size_t failures;
	struct err first; /* of the failures */
};

/* 1 where it is, 0 where not. Deletes what an ADD that died has left of its link. */
static int is_dead(const struct gc *gc, const struct lease *lease, struct err *err)
{
	struct attachment link = {.bridge_netns = gc->bridge_netns};
	int64_t age = gc->now - lease->since;
	int r;

	attach_name(&link, lease->container_id, lease->ifname);
	if (lease->state == LEASE_ACTIVE) {
		r = attach_exists(&link, err);
		return r < 0 ? r : !r;
	}
	if (age >= 0 && age < GRACE_SECONDS)
		return 0;
	r = attach_delete(&link, err);
	return r < 0 ? r : 1;
}

static bool is_stale(const struct lease *lease, void *data)
{
	struct gc *gc = data;
	struct err err = {0};
	char addr[ADDR_STRLEN];
	int dead;

	if (gc_list_has(gc->valid, lease->container_id, lease->ifname))
		return false;
	dead = is_dead(gc, lease, &err);
	if (dead > 0)
		log_info("freed", "container=%.12s interface=%s address=%s", lease->container_id,
			 lease->ifname, addr_format(&lease->addr, addr));
	if (dead < 0 && !gc->failures++) {
		gc->first = err;
		err_wrap(&gc->first, "%s of container %.12s", lease->ifname, lease->container_id);
	}
	return dead > 0;
}

static enum cni_code collect(const struct netconf *conf, const struct gc_list *valid,
			     struct err *err)
{
	struct gc gc = {.valid = valid, .bridge_netns = -1, .now = lease_now()};
	auto_lease_table struct lease_table *table = NULL;
	auto_close int netns = -1;
	int r = lease_open(conf->lease_dir, conf->network, &table, err);

	if (r == -ENOENT)
		return CNI_OK; /* nothing was ever handed out here */
	if (r < 0)
		return CNI_IO;
	if (netns_open(conf->netns, &netns, err) < 0) {
		err_wrap(err, "the node agent (byway-node) is not ready");
		return CNI_AGAIN;
	}
	gc.bridge_netns = netns;
	lease_collect(table, gc.now, is_stale, &gc);
	if (!gc.failures)
		return CNI_OK;
	*err = gc.first;
	if (gc.failures > 1)
		err_wrap(err, "%zu attachments could not be looked at, the first", gc.failures);
	return CNI_IO;
}

/* Both are tried, whatever becomes of the other; the first error is told. */
enum cni_code cni_gc(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	auto_gc_list struct gc_list valid = {0};
	auto_netconf struct netconf conf = {0};
	struct err second = {0};
	enum cni_code code = netconf_load(text, &conf, err), delegate;

	if (!code && conf.version < CNI_1_1_0) {
		err_set(err, -ENOTSUP, "GC needs cniVersion 1.1.0: the configuration is %s",
			cni_version_names[conf.version]);
		return CNI_BAD_VERSION;
	}
	if (!code && gc_list_load(text, &valid, err) < 0)
		code = CNI_BAD_CONFIG;
	if (code)
		return code;
	if (valid.given)
		code = collect(&conf, &valid, err);
	delegate = ipam_gc(env, &conf, text, code ? &second : err);
	return code ? code : delegate;
}

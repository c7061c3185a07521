/* Theory of operation
 *
 * DEL gets lost: a runtime crashes, a plugin in front of ours fails, its cache is gone after a power
 * cut. The truth is the kernel's. A pod's interface is one end of a pair whose other end is a port
 * in the agent's namespace, with the lease's owner in its alias; when the pod's namespace dies the
 * kernel deletes both. So an active lease without a port is nobody's.
 *
 * A pending one has no port yet: it is reserved before the link is made, and left alone until no
 * ADD can take so long. One that was slower still finds its lease gone when it wants to activate
 * it, fails and takes back its link (lease_activate()).
 *
 * The links were listed before the table was locked, so that no ADD waits for a listing. A lease
 * that was taken, or a link that was made in between shows when the port is looked for once more,
 * by name and under the lock.
 */
#include "reclaim.h"

#include <errno.h>
#include <string.h>

#include "attach.h"
#include "log.h"

static bool has_port(const struct lease *lease, const struct object_index *links)
{
	struct object like = {.kind = OBJECT_LINK};
	const struct object *link;
	struct attachment a;
	size_t len;

	attach_name(&a, lease->container_id, lease->ifname);
	len = strlen(a.alias);
	memcpy(like.link.name, a.port, sizeof(like.link.name));
	link = object_index_find(links, &like, NULL);
	/* The alias may go on behind the owner. */
	return link && !strncmp(link->link.alias, a.alias, len) &&
	       (!link->link.alias[len] || link->link.alias[len] == ' ');
}

bool reclaim_orphaned(const struct lease *lease, const struct object_index *links, int64_t now)
{
	int64_t age = now - lease->since;

	/* From a time before the boot, where the tables are not on a tmpfs: no ADD either. */
	if (lease->state == LEASE_PENDING && age >= 0 && age < RECLAIM_PENDING_GRACE)
		return false;
	return !has_port(lease, links);
}

struct reclaim {
	struct net *net;
	const char *network;
	const struct object_index *links;
	int64_t now;
};

static bool port_is_missing(struct net *net, const struct lease *lease)
{
	struct link_object link;
	struct attachment a;
	struct err err;

	attach_name(&a, lease->container_id, lease->ifname);
	return net_link_get(net, a.port, &link, &err) == -ENODEV;
}

static bool orphaned(const struct lease *lease, void *data)
{
	const struct reclaim *r = data;
	char text[ADDR_STRLEN];

	if (!reclaim_orphaned(lease, r->links, r->now) || !port_is_missing(r->net, lease))
		return false;
	log_warn("address taken back: its pod is gone, and there was no DEL",
		 "network=%s address=%s container=%s interface=%s pod=%s", r->network,
		 addr_format(&lease->addr, text), lease->container_id, lease->ifname,
		 lease->pod_uid);
	return true;
}

int reclaim_network(struct net *net, const char *lease_dir, const char *network,
		    const struct object_index *links, uint64_t *count, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	struct reclaim r = {.net = net, .network = network, .links = links, .now = lease_now()};
	int code = lease_open(lease_dir, network, &table, err);

	if (code == 0)
		*count += lease_collect(table, r.now, orphaned, &r);
	return code;
}

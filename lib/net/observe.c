/* What the kernel has, as objects. */
#include "internal.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "ipvs.h"
#include "mem.h"

struct observation {
	struct net *net;
	struct object_index wanted;
	struct object_list *seen;
};

static void observation_free(struct observation *o)
{
	object_index_free(&o->wanted);
}

/* Ours, or in the place of something wanted. */
static void keep_relevant(struct observation *o, const struct object *object)
{
	if (object->ours || object_index_find(&o->wanted, object, NULL))
		object_list_append(o->seen, object);
}

static int see_link(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct observation *o = data;
	struct object object;
	int r;

	if (hdr->nlmsg_type != RTM_NEWLINK)
		return 0;
	r = link_decode(o->net, hdr, &object, err);
	if (r == 0)
		keep_relevant(o, &object);
	return r;
}

static int see_other(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct observation *o = data;
	struct object object;
	int r = wire_decode(o->net, hdr, &object, err);

	if (r > 0)
		keep_relevant(o, &object);
	return r < 0 ? r : 0;
}

/* Entries of a device of ours are ours: nobody else has a reason to pin them there. */
static int see_fdb(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct observation *o = data;
	struct object object;
	int r = wire_decode(o->net, hdr, &object, err);

	object.ours = true;
	if (r > 0)
		object_list_append(o->seen, &object);
	return r < 0 ? r : 0;
}

static int observe_links(struct observation *o, struct err *err)
{
	const struct ifinfomsg header = {0};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETLINK, NLM_F_DUMP, &header, sizeof(header));

	msg_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (net_query(o->net->rtnl, msg, see_link, o, err) < 0)
		return err_wrap(err, "listing interfaces");
	return 0;
}

/* A dump of all families: `header` is the zeroed family header of the request. */
static int observe_all(struct observation *o, int type, const void *header, size_t size,
		       const char *what, struct err *err)
{
	auto_nl_msg struct nl_msg *msg = msg_new(type, NLM_F_DUMP, header, size);

	if (net_query(o->net->rtnl, msg, see_other, o, err) < 0)
		return err_wrap(err, "listing %s", what);
	return 0;
}

static int observe_fdb(struct observation *o, const char *dev, struct err *err)
{
	/* The request has the header of a link: net/core/rtnetlink.c, valid_fdb_dump_legacy(). */
	const struct ifinfomsg header = {.ifi_family = AF_BRIDGE,
					 .ifi_index = (int)net_ifindex(o->net, dev)};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETNEIGH, NLM_F_DUMP, &header, sizeof(header));

	if (!header.ifi_index)
		return 0; /* gone since */
	if (net_query(o->net->rtnl, msg, see_fdb, o, err) < 0)
		return err_wrap(err, "listing the FDB of %s", dev);
	return 0;
}

static int observe_fdbs(struct observation *o, size_t first_link, size_t end, struct err *err)
{
	for (size_t i = first_link; i < end; i++) {
		/* A copy: the list grows, and moves, meanwhile. */
		const struct object link = o->seen->items[i];
		int r = 0;

		if (link.ours && link.link.kind == LINK_VXLAN)
			r = observe_fdb(o, link.link.name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int net_observe(struct net *net, const struct object_list *wanted, struct object_list *ret,
		struct err *err)
{
	__attribute__((cleanup(observation_free))) struct observation o = {.net = net, .seen = ret};
	size_t first_link = ret->n, end_links;
	int r;

	object_index_build(&o.wanted, wanted);
	r = observe_links(&o, err);

	end_links = ret->n;
	if (r == 0)
		r = observe_all(&o, RTM_GETADDR, &(struct ifaddrmsg){0}, sizeof(struct ifaddrmsg),
				"addresses", err);
	if (r == 0)
		r = observe_all(&o, RTM_GETROUTE, &(struct rtmsg){0}, sizeof(struct rtmsg),
				"routes", err);
	if (r == 0)
		r = observe_all(&o, RTM_GETRULE, &(struct fib_rule_hdr){0},
				sizeof(struct fib_rule_hdr), "rules", err);
	if (r == 0)
		r = observe_fdbs(&o, first_link, end_links, err);
	if (r == 0)
		r = ipvs_observe(net, ret, err);
	return r;
}

/* --- one interface's addresses --- */

struct addresses {
	const struct net *net;
	const char *dev;
	struct prefix *items;
	size_t n;
};

static int see_address(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct addresses *a = data;
	struct object object;
	int r = wire_decode(a->net, hdr, &object, err);

	if (r <= 0 || strcmp(object.address.dev, a->dev) != 0)
		return r < 0 ? r : 0;
	a->items = xreallocarray(a->items, a->n + 1, sizeof(*a->items));
	a->items[a->n++] = object.address.prefix;
	return 0;
}

int net_link_addresses(struct net *net, const char *name, struct prefix **ret, size_t *n,
		       struct err *err)
{
	const struct ifaddrmsg header = {0};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETADDR, NLM_F_DUMP, &header, sizeof(header));
	struct addresses a = {.net = net, .dev = name};

	if (!net_ifindex(net, name))
		return err_errno(err, -ENODEV, "interface %s", name);
	if (net_query(net->rtnl, msg, see_address, &a, err) < 0) {
		free(a.items);
		return err_wrap(err, "interface %s: listing addresses", name);
	}
	*ret = a.items;
	*n = a.n;
	return 0;
}

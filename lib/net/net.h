#pragma once
/* The kernel's network configuration of one namespace over netlink: observe, apply.
 *
 * Errors carry errno and the kernel's own sentence (NETLINK_EXT_ACK): libnl's default texts hide
 * both. A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR) is repeated.
 */

#include "object.h"
#include "plan.h"

struct nl_sock;

/* An open namespace. Not to be shared between threads. */
struct net;

/* Opens netlink sockets in the namespace `netns` (path, or NULL for the caller's). The caller's own
 * namespace is remembered as the *underlay*: a VXLAN created through `net` keeps its UDP socket
 * there (facts.md). Generic netlink families (IPVS, WireGuard) are resolved when first used.
 * *ret is owned by the caller: net_close(). */
int net_open(const char *netns, struct net **ret, struct err *err);
void net_close(struct net *net);
#define auto_net __attribute__((cleanup(net_closep)))
static inline void net_closep(struct net **net)
{
	if (*net)
		net_close(*net);
}

/* Makes a named network namespace under /run/netns, or adopts the one that is there; its loopback
 * is set up. Returns 0 or -errno. */
int netns_ensure(const char *path, struct err *err);

/* Appends to `ret` what the kernel has of the kinds and places that matter for `wanted`: each
 * wanted link and all links of ours, addresses and FDB entries on them, all routes and rules of our
 * protocol and those that share the identity of a wanted one, IPVS services of ours and their
 * destinations. Dumps: for start-up and the periodic check, not for a hot path. */
int net_observe(struct net *net, const struct object_list *wanted, struct object_list *ret,
		struct err *err);

/* IPVS services at addresses in these prefixes (copied; they replace those of the last call) are
 * ours from now on: net_observe() shows them and a plan deletes those that are not wanted. What an
 * IPVS service carries beside its address can be changed by hand, so the address alone says whose it
 * is. Wanted services must lie in them. Those of other protocols than TCP and UDP, by firewall mark
 * or elsewhere are nobody's concern here. Without a call IPVS is not looked at. A daemon whose
 * addresses change gives old and new ones until the old services are deleted. */
void net_own_services(struct net *net, const struct prefix *prefixes, size_t n);

/* Carries out a plan, all it can of it: a step that fails is reported through `failed` (may be
 * NULL) and the others are still tried, except those that depend on a link that could not be made
 * or is foreign. Returns 0, or the first error. Objects "already there" or "already gone" are
 * success. Consecutive steps are sent as one batch where the kernel allows it. */
typedef void net_failed_fn(const struct plan_step *step, const struct err *err, void *data);
int net_apply(struct net *net, const struct plan *plan, net_failed_fn *failed, void *data,
	      struct err *err);

/* observe + plan + apply against `wanted`: the reconciliation of a daemon. Where `actual` is not
 * NULL it is replaced by what is there afterwards, for use with net_update(). */
int net_reconcile(struct net *net, const struct object_list *wanted, struct object_list *actual,
		  net_failed_fn *failed, void *data, struct err *err);

/* The hot path: plan against the remembered `actual`, without looking at the kernel; apply;
 * remember. */
int net_update(struct net *net, const struct object_list *wanted, struct object_list *actual,
	       net_failed_fn *failed, void *data, struct err *err);

/* Applies nftables commands as one transaction (libnftables buffer: all or nothing) in the
 * namespace. `text` is a script as for `nft -f`. */
int net_nft(struct net *net, const char *text, struct err *err);

/* Appends a table to `ret` as nft(8) shows it, its rules and its sets without their elements: to be
 * compared with what it was before. `table` is family and name. -ENOENT where it is missing. */
int net_nft_list(struct net *net, const char *table, struct strbuf *ret, struct err *err);

/* IPv4/IPv6 addresses of an interface; *ret owned by the caller. -ENODEV where it does not exist.
 */
int net_link_addresses(struct net *net, const char *name, struct prefix **ret, size_t *n,
		       struct err *err);

/* Name, state and MTU of an interface by name; -ENODEV where it does not exist. */
int net_link_get(struct net *net, const char *name, struct link_object *ret, struct err *err);

enum net_watch { NET_WATCH_LINKS, NET_WATCH_NFTABLES };

/* A descriptor that becomes readable when an interface of the namespace, or anything in nftables,
 * comes, goes or changes; -errno. Owned by the caller (close). net_watch_drain() takes what has
 * arrived; what it was is found out by looking. */
int net_watch(struct net *net, enum net_watch what, struct err *err);
void net_watch_drain(int fd);

/* Writes /proc/sys/<key with dots as slashes> in the namespace. */
int net_sysctl(struct net *net, const char *key, const char *value, struct err *err);

/* A raw rtnetlink socket with extended acknowledgements in `netns_fd` (-1: the caller's namespace),
 * for those who build their own messages (the CNI plugin). Owned by the caller (nl_socket_free). */
int net_socket(int protocol, int netns_fd, struct nl_sock **ret, struct err *err);

/* Sends `msg` and waits for the acknowledgement. Does not free it. */
struct nl_msg;
int net_talk(struct nl_sock *sk, struct nl_msg *msg, struct err *err);

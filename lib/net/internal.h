#pragma once
/* What the files of lib/net share and nobody else sees: the open namespace and how one talks
 * netlink with the kernel in it.
 *
 * Messages are built with libnl's nlmsg_ and nla_ functions and sent here, not by nl_send_auto():
 * libnl hides the kernel's sentence, knows no batch, and translates errno to numbers of its own.
 */

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sched.h>

#include "cleanup.h"
#include "err.h"
#include "net.h"

#define NET_GENL_FAMILIES 4

struct net {
	int netns;	      /* descriptor of the namespace that is managed */
	int underlay;	      /* descriptor of the namespace in which net_open() was called */
	struct nl_sock *rtnl; /* NETLINK_ROUTE in netns */
	struct nl_sock *rtnl_underlay; /* NETLINK_ROUTE in underlay, for VXLAN devices */
	struct nl_sock *genl; /* NETLINK_GENERIC in netns, NULL until first used: net_genl() */
	struct {
		char name[16];
		int id;
	} families[NET_GENL_FAMILIES]; /* resolved so far, by net_genl() */

	struct prefix *services; /* net_own_services(), owned */
	size_t n_services;

	/* The libnftables context, made by nft.c when first used. A pointer to its destructor, so
	 * that net_close() does not draw libnftables into programs that never use it (the static
	 * plugin). */
	void *nft;
	void (*nft_free)(void *nft);
};

static inline void nl_msgp(struct nl_msg **msg)
{
	if (*msg)
		nlmsg_free(*msg);
}
#define auto_nl_msg __attribute__((cleanup(nl_msgp)))

static inline void nl_sockp(struct nl_sock **sk)
{
	if (*sk)
		nl_socket_free(*sk);
}
#define auto_nl_sock __attribute__((cleanup(nl_sockp)))

/* --- netlink.c: messages --- */

/* A new message with `size` bytes of family header copied behind the netlink header. The caller
 * owns it (nlmsg_free). Room for attributes: a page. Never NULL. */
struct nl_msg *msg_new(int type, int flags, const void *header, size_t size);

/* Appends an attribute; the message must have the room (assert): ours are far below a page. */
void msg_put(struct nl_msg *msg, int attr, const void *data, size_t size);
void msg_put_u8(struct nl_msg *msg, int attr, uint8_t value);
void msg_put_u16(struct nl_msg *msg, int attr, uint16_t value);
void msg_put_u32(struct nl_msg *msg, int attr, uint32_t value);
void msg_put_string(struct nl_msg *msg, int attr, const char *value);
void msg_put_addr(struct nl_msg *msg, int attr, const struct addr *addr);

/* Opens a nested attribute (with NLA_F_NESTED); nla_nest_end() closes it. */
struct nlattr *msg_nest(struct nl_msg *msg, int attr);

/* Called for each answer of a query. Returns 0, or a negative errno to stop (with `err` filled). */
typedef int net_answer_fn(struct nlmsghdr *hdr, void *data, struct err *err);

/* Sends a request (also a dump) and calls `fn` (may be NULL) for each message of its answer, after
 * the whole answer has arrived: an interrupted dump is repeated before anybody saw a part of it.
 * Does not free `msg`. */
int net_query(struct nl_sock *sk, struct nl_msg *msg, net_answer_fn *fn, void *data,
	      struct err *err);

/* The outcome of one request of a batch: 0 or a negative errno and the kernel's words. */
struct net_ack {
	int code;
	char text[128];
};

/* Puts it into `err` as "strerror (kernel: sentence)"; returns its code. */
int net_ack_error(const struct net_ack *ack, struct err *err);

/* At most this many requests in one net_talk_batch(): their acknowledgements must fit the socket.
 */
#define NET_BATCH_MAX 128

/* Sends `n` requests in one sendmsg(), which the kernel carries out in order, each for itself;
 * fills `acks[i]`, found by sequence number. Fails only where the socket does, or where the kernel
 * refuses a request that asks for no acknowledgement (NLM_F_ACK, which libnl adds unless told not
 * to). Does not free the messages. */
int net_talk_batch(struct nl_sock *sk, struct nl_msg *const *msgs, size_t n, struct net_ack *acks,
		   struct err *err);

/* Likewise, of requests that mostly succeed: only the last is acknowledged, which says that the kernel
 * has been through all of them, and one that is refused speaks up by itself. Two system calls, mostly.
 * The socket is one for this alone: libnl does not ask for acknowledgements on it any more. */
int net_talk_each(struct nl_sock *sk, struct nl_msg *const *msgs, size_t n, struct net_ack *acks,
		  struct err *err);

/* The generic netlink socket of the namespace and the id of `family` in *id (the kernel loads its
 * module if it can). NULL and `err` (-ENOENT where the kernel has no such family) on failure. Owned
 * by `net`. */
struct nl_sock *net_genl(struct net *net, const char *family, int *id, struct err *err);

/* A generic netlink request; as msg_new(). */
struct nl_msg *msg_genl(int family_id, int flags, uint8_t command, uint8_t version);

/* Parses the attributes of an answer behind a family header of `header` bytes into tb[0..max].
 * Attributes that are unknown (> max) are skipped. -EBADMSG where they are malformed. */
int msg_parse(struct nlmsghdr *hdr, size_t header, struct nlattr *tb[], int max, struct err *err);

/* --- nfset.c --- */

/* Begin or end (`type`: NFNL_MSG_BATCH_*) of an nftables transaction; as msg_new(). */
struct nl_msg *msg_new_nft_boundary(int type);

/* --- netns.c --- */

/* Moves the calling thread to the namespace `fd` until netns_leave(). *saved is the way back. Where
 * fd is -1 it stays, and *saved is -1. */
int netns_enter(int fd, int *saved, struct err *err);

/* Aborts where the way back is barred: going on in the wrong namespace would be worse. */
void netns_leave(const int *saved);
#define auto_netns __attribute__((cleanup(netns_leave)))

/* --- net.c --- */

/* Index of an interface in the managed namespace by name; 0 where there is none. */
unsigned int net_ifindex(const struct net *net, const char *name);

/* net_sysctl() in the namespace that the calling thread is in. */
int sysctl_write(const char *key, const char *value, struct err *err);

/* Its name by index; "" where there is none. */
void net_ifname(const struct net *net, unsigned int index, char name[static IFNAMSIZ]);

/* --- link.c, wire.c: objects to and from messages --- */

/* Decodes an RTM_NEWLINK message. */
int link_decode(const struct net *net, struct nlmsghdr *hdr, struct object *ret, struct err *err);

int link_create(struct net *net, const struct link_object *link, struct err *err);
int link_update(struct net *net, const struct link_object *link, struct err *err);
int link_delete(struct net *net, const struct link_object *link, struct err *err);

/* A request for a step on an address, route, rule or FDB entry: *ret is owned by the caller.
 * -ENODEV where the link it names does not exist. */
int wire_encode(const struct net *net, const struct plan_step *step, struct nl_msg **ret,
		struct err *err);

/* Decodes an answer to RTM_GETADDR, GETROUTE, GETRULE, GETNEIGH. Returns 1 with *ret filled, 0
 * where the message is of no interest (a cached route, a learned FDB entry, another family),
 * -errno. */
int wire_decode(const struct net *net, struct nlmsghdr *hdr, struct object *ret, struct err *err);

/* --- attach.c, attach_pod.c --- */

struct attachment;

/* Index of an interface in the socket's namespace, 0 where there is none; also its MTU. */
unsigned int attach_link_index(struct nl_sock *sk, const char *name, unsigned int *mtu);

/* Takes back what attach_configure() made and the end of the interface leaves. */
void attach_pod_undo(struct attachment *a);

/* --- apply.c --- */

/* net_apply() that also tells, for each step of the plan, whether it holds now. */
int apply_plan(struct net *net, const struct plan *plan, bool *done, net_failed_fn *failed,
	       void *data, struct err *err);

/* Theory of operation
 *
 * A request carries a sequence number and NLM_F_ACK; its answer is any number of messages with that
 * number, closed by NLMSG_ERROR (code 0: done) or, for a dump, NLMSG_DONE. With NETLINK_EXT_ACK the
 * kernel adds a sentence to an error; with NETLINK_CAP_ACK it does not send our request back.
 *
 * Several requests in one sendmsg() are carried out one after the other within that system call, so
 * their acknowledgements queue up in the socket before the first can be read: the batch is bounded
 * and the receive buffer made large enough. An overrun shows as ENOBUFS and is an error like
 * others.
 *
 * Source: net/netlink/af_netlink.c (netlink_rcv_skb, netlink_ack), linux/netlink.h.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "mem.h"

/* The kernel caps a message of a dump at 32 KiB (netlink_recvmsg). */
#define RECEIVE_MAX (64U << 10)

/* An acknowledgement takes up to 1.3 KiB of buffer, with its bookkeeping. */
#define RECEIVE_BUFFER (NET_BATCH_MAX * 2048)

/* Room for a request about one object, and for one with a list in it. The library would take a page
 * for each, and clear it: half of the memory that an ADD of twenty routes touches. */
#define OBJECT_ROOM 1024
#define LIST_ROOM   4096

/* A dump that was interrupted this often in a row is given up. */
#define DUMP_TRIES 10

/* --- sockets --- */

static int socket_options(struct nl_sock *sk, struct err *err)
{
	const struct timeval patience = {.tv_sec = 10}; /* the kernel answers within sendmsg() */
	const int size = RECEIVE_BUFFER, on = 1;
	int fd = nl_socket_get_fd(sk);

	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return err_errno(err, -errno, "netlink socket options");
	/* Beyond net.core.rmem_max only with CAP_NET_ADMIN in the initial user namespace. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return err_errno(err, -errno, "netlink receive buffer");
	return 0;
}

int net_socket(int protocol, int netns_fd, struct nl_sock **ret, struct err *err)
{
	auto_nl_sock struct nl_sock *sk = nl_socket_alloc();
	auto_netns int saved = -1;
	int r;

	if (!sk)
		return err_errno(err, -ENOMEM, "netlink socket");
	r = netns_enter(netns_fd, &saved, err);
	if (r < 0)
		return r;
	r = nl_connect(sk, protocol);
	if (r < 0)
		return err_set(err, -EPROTO, "netlink socket: %s", nl_geterror(r));
	r = socket_options(sk, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(sk);
	return 0;
}

/* --- building --- */

static struct nl_msg *msg_alloc(size_t room, int type, int flags, const void *header, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_size(room);
	int r;

	if (!msg)
		abort();
	nlmsg_hdr(msg)->nlmsg_type = (uint16_t)type;
	nlmsg_hdr(msg)->nlmsg_flags = (uint16_t)flags;
	r = nlmsg_append(msg, (void *)header, size, NLMSG_ALIGNTO);
	assert(r == 0);
	(void)r;
	return msg;
}

struct nl_msg *msg_new(int type, int flags, const void *header, size_t size)
{
	return msg_alloc(OBJECT_ROOM, type, flags, header, size);
}

struct nl_msg *msg_genl(int family_id, int flags, uint8_t command, uint8_t version)
{
	const struct genlmsghdr header = {.cmd = command, .version = version};

	return msg_alloc(LIST_ROOM, family_id, flags, &header, sizeof(header));
}

void msg_put(struct nl_msg *msg, int attr, const void *data, size_t size)
{
	int r = nla_put(msg, attr, (int)size, data);

	assert(r == 0);
	(void)r;
}

void msg_put_u8(struct nl_msg *msg, int attr, uint8_t value)
{
	msg_put(msg, attr, &value, sizeof(value));
}

void msg_put_u16(struct nl_msg *msg, int attr, uint16_t value)
{
	msg_put(msg, attr, &value, sizeof(value));
}

void msg_put_u32(struct nl_msg *msg, int attr, uint32_t value)
{
	msg_put(msg, attr, &value, sizeof(value));
}

void msg_put_string(struct nl_msg *msg, int attr, const char *value)
{
	msg_put(msg, attr, value, strlen(value) + 1);
}

void msg_put_addr(struct nl_msg *msg, int attr, const struct addr *addr)
{
	msg_put(msg, attr, addr->bytes, addr_size(addr));
}

struct nlattr *msg_nest(struct nl_msg *msg, int attr)
{
	struct nlattr *nest = nla_nest_start(msg, attr | NLA_F_NESTED);

	assert(nest);
	return nest;
}

int msg_parse(struct nlmsghdr *hdr, size_t header, struct nlattr *tb[], int max, struct err *err)
{
	int r = nlmsg_parse(hdr, (int)header, tb, max, NULL);

	if (r < 0)
		return err_set(err, -EBADMSG, "malformed netlink message: %s", nl_geterror(r));
	return 0;
}

/* --- talking --- */

/* Reads one datagram; returns its length or -errno. */
static ssize_t receive(struct nl_sock *sk, void *buf, size_t size, struct err *err)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		struct iovec iov = {buf, size};
		struct msghdr msg = {.msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_iov = &iov,
				     .msg_iovlen = 1};
		ssize_t n = recvmsg(nl_socket_get_fd(sk), &msg, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, -errno, "netlink receive");
		if (msg.msg_flags & MSG_TRUNC)
			return err_errno(err, -EMSGSIZE, "netlink receive");
		if (from.nl_pid == 0) /* anything else does not come from the kernel */
			return n;
	}
}

/* What an NLMSG_ERROR or NLMSG_DONE message says: code and sentence. */
static void ack_decode(struct nlmsghdr *hdr, struct net_ack *ack)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = {0};
	struct nlattr *first;
	size_t skip = sizeof(int);

	*ack = (struct net_ack){0};
	if (nlmsg_datalen(hdr) < (int)sizeof(int))
		return; /* the DONE of some families is empty */
	memcpy(&ack->code, nlmsg_data(hdr), sizeof(int));
	if (ack->code > 0)
		ack->code = 0; /* DONE: some dumps leave a length here */
	if (!ack->code || !(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (hdr->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = nlmsg_data(hdr);

		skip = sizeof(*e);
		if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
			skip += e->msg.nlmsg_len - sizeof(e->msg);
	}
	skip = NLMSG_ALIGN(skip);
	if ((size_t)nlmsg_datalen(hdr) <= skip)
		return;
	first = (struct nlattr *)((char *)nlmsg_data(hdr) + skip);
	if (nla_parse(tb, NLMSGERR_ATTR_MAX, first, nlmsg_datalen(hdr) - (int)skip, NULL) == 0 &&
	    tb[NLMSGERR_ATTR_MSG])
		snprintf(ack->text, sizeof(ack->text), "%.*s", nla_len(tb[NLMSGERR_ATTR_MSG]),
			 (const char *)nla_data(tb[NLMSGERR_ATTR_MSG]));
}

int net_ack_error(const struct net_ack *ack, struct err *err)
{
	if (!ack->code)
		return 0;
	if (ack->text[0])
		return err_set(err, ack->code, "%s (kernel: %s)", strerror(-ack->code), ack->text);
	return err_set(err, ack->code, "%s", strerror(-ack->code));
}

static int send_messages(struct nl_sock *sk, struct nl_msg *const *msgs, size_t n, struct err *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec iov[NET_BATCH_MAX];
	struct msghdr msg = {.msg_name = &kernel,
			     .msg_namelen = sizeof(kernel),
			     .msg_iov = iov,
			     .msg_iovlen = n};

	assert(n > 0 && n <= NET_BATCH_MAX);
	for (size_t i = 0; i < n; i++) {
		struct nlmsghdr *hdr = nlmsg_hdr(msgs[i]);

		hdr->nlmsg_seq = NL_AUTO_SEQ; /* also where the message is sent once more */
		nl_complete_msg(sk, msgs[i]);
		iov[i] = (struct iovec){hdr, NLMSG_ALIGN(hdr->nlmsg_len)};
	}
	while (sendmsg(nl_socket_get_fd(sk), &msg, 0) < 0) {
		if (errno != EINTR)
			return err_errno(err, -errno, "netlink send");
	}
	return 0;
}

/* Will the kernel acknowledge this request where it succeeds? */
static bool is_awaited(struct nl_msg *msg)
{
	return nlmsg_hdr(msg)->nlmsg_flags & NLM_F_ACK;
}

static size_t count_awaited(struct nl_msg *const *msgs, size_t n)
{
	size_t awaited = 0;

	for (size_t i = 0; i < n; i++)
		awaited += is_awaited(msgs[i]);
	return awaited;
}

/* `each`: a request that asks for no acknowledgement and is refused stands for itself alone. */
static int talk(struct nl_sock *sk, struct nl_msg *const *msgs, size_t n, bool each,
		struct net_ack *acks, struct err *err)
{
	char buf[RECEIVE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	uint32_t first;
	size_t missing;
	int r;

	if (!n)
		return 0;
	r = send_messages(sk, msgs, n, err);
	if (r < 0)
		return r;
	first = nlmsg_hdr(msgs[0])->nlmsg_seq;
	missing = count_awaited(msgs, n);
	while (missing) {
		ssize_t got = receive(sk, buf, sizeof(buf), err);
		int left = (int)got;

		if (got < 0)
			return (int)got;
		for (struct nlmsghdr *hdr = (struct nlmsghdr *)buf; nlmsg_ok(hdr, left);
		     hdr = nlmsg_next(hdr, &left)) {
			uint32_t i = hdr->nlmsg_seq - first; /* wraps as the numbers do */

			if (i >= n || hdr->nlmsg_type != NLMSG_ERROR)
				continue; /* the rest of an answer nobody waited for */
			ack_decode(hdr, &acks[i]);
			if (is_awaited(msgs[i]))
				missing--;
			else if (!each) /* a batch refused as a whole */
				return net_ack_error(&acks[i], err);
		}
	}
	return 0;
}

int net_talk_batch(struct nl_sock *sk, struct nl_msg *const *msgs, size_t n, struct net_ack *acks,
		   struct err *err)
{
	return talk(sk, msgs, n, false, acks, err);
}

int net_talk_each(struct nl_sock *sk, struct nl_msg *const *msgs, size_t n, struct net_ack *acks,
		  struct err *err)
{
	nl_socket_disable_auto_ack(sk);
	for (size_t i = 0; i < n; i++) {
		acks[i] = (struct net_ack){0};
		if (i == n - 1)
			nlmsg_hdr(msgs[i])->nlmsg_flags |= NLM_F_ACK;
	}
	return talk(sk, msgs, n, true, acks, err);
}

int net_talk(struct nl_sock *sk, struct nl_msg *msg, struct err *err)
{
	struct net_ack ack = {0};
	int r = net_talk_batch(sk, &msg, 1, &ack, err);

	return r < 0 ? r : net_ack_error(&ack, err);
}

/* An answer as it arrived: whole netlink messages one after the other. */
struct answer {
	char *bytes;
	size_t len;
	bool interrupted;
	struct net_ack end;
};

static void answer_free(struct answer *a)
{
	free(a->bytes);
}

/* Takes what belongs to `seq` out of one datagram; returns true when the answer is complete. */
static bool answer_take(struct answer *a, char *buf, int left, uint32_t seq)
{
	for (struct nlmsghdr *hdr = (struct nlmsghdr *)buf; nlmsg_ok(hdr, left);
	     hdr = nlmsg_next(hdr, &left)) {
		size_t size = NLMSG_ALIGN(hdr->nlmsg_len);

		if (hdr->nlmsg_seq != seq)
			continue;
		if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
			a->interrupted = true;
		if (hdr->nlmsg_type == NLMSG_ERROR || hdr->nlmsg_type == NLMSG_DONE) {
			ack_decode(hdr, &a->end);
			return true;
		}
		a->bytes = xreallocarray(a->bytes, a->len + size, 1);
		memcpy(a->bytes + a->len, hdr, hdr->nlmsg_len);
		a->len += size;
	}
	return false;
}

static int answer_receive(struct nl_sock *sk, struct nl_msg *msg, struct answer *a, struct err *err)
{
	char buf[RECEIVE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t got;
	int r = send_messages(sk, &msg, 1, err);

	if (r < 0)
		return r;
	do {
		got = receive(sk, buf, sizeof(buf), err);
		if (got < 0)
			return (int)got;
	} while (!answer_take(a, buf, (int)got, nlmsg_hdr(msg)->nlmsg_seq));
	return net_ack_error(&a->end, err);
}

int net_query(struct nl_sock *sk, struct nl_msg *msg, net_answer_fn *fn, void *data,
	      struct err *err)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		__attribute__((cleanup(answer_free))) struct answer a = {0};
		struct nlmsghdr *hdr;
		int left, r = answer_receive(sk, msg, &a, err);

		if (r < 0)
			return r;
		if (a.interrupted)
			continue;
		left = (int)a.len;
		for (hdr = (struct nlmsghdr *)a.bytes; left > 0 && nlmsg_ok(hdr, left);
		     hdr = nlmsg_next(hdr, &left)) {
			r = fn ? fn(hdr, data, err) : 0;
			if (r < 0)
				return r;
		}
		return 0;
	}
	return err_set(err, -EAGAIN, "netlink dump interrupted %d times in a row", DUMP_TRIES);
}

/* --- generic netlink --- */

static int family_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct nlattr *tb[CTRL_ATTR_MAX + 1];
	int r = msg_parse(hdr, GENL_HDRLEN, tb, CTRL_ATTR_MAX, err);

	if (r < 0)
		return r;
	if (tb[CTRL_ATTR_FAMILY_ID])
		*(int *)data = nla_get_u16(tb[CTRL_ATTR_FAMILY_ID]);
	return 0;
}

/* Asks the kernel's controller for the id of a family (Documentation/networking/generic_netlink).
 */
static int family_resolve(struct nl_sock *sk, const char *family, int *id, struct err *err)
{
	auto_nl_msg struct nl_msg *msg = msg_genl(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1);
	int r;

	msg_put_string(msg, CTRL_ATTR_FAMILY_NAME, family);
	*id = 0;
	r = net_query(sk, msg, family_answer, id, err);
	if (r == -ENOENT || (r == 0 && !*id))
		return err_set(err, -ENOENT, "this kernel has no generic netlink family %s",
			       family);
	return r < 0 ? err_wrap(err, "generic netlink family %s", family) : 0;
}

struct nl_sock *net_genl(struct net *net, const char *family, int *id, struct err *err)
{
	size_t i;

	if (!net->genl && net_socket(NETLINK_GENERIC, net->netns, &net->genl, err) < 0)
		return NULL;
	for (i = 0; i < NET_GENL_FAMILIES && net->families[i].name[0]; i++) {
		if (!strcmp(net->families[i].name, family)) {
			*id = net->families[i].id;
			return net->genl;
		}
	}
	assert(i < NET_GENL_FAMILIES && strlen(family) < sizeof(net->families[i].name));
	if (family_resolve(net->genl, family, id, err) < 0)
		return NULL;
	memcpy(net->families[i].name, family, strlen(family) + 1);
	net->families[i].id = *id;
	return net->genl;
}

/* Theory of operation
 *
 * A namespace can run the sending daemon ("master") and the receiving one ("backup") at once, and does
 * on both routers: the standby sees no packets, so it sends nothing, and a promotion changes nothing
 * here. Neither hears itself (the sender's socket has IP_MULTICAST_LOOP off).
 *
 * When an entry is sent is decided with each packet from the client (ip_vs_sync_conn_needed()). By the
 * kernel's default that is the 3rd of every 50: a connection that idles after its handshake never goes
 * out, and one that says a word a minute has been forgotten by the standby (15 minutes; UDP: 5) long
 * before its 50th packet. With a threshold of "0 0" and a refresh period it is when the connection is
 * established, with every later change of its state, and whenever the standby's timer has fallen behind
 * by more than the period, once more an eighth of that later (sync_retries): a lost datagram is made
 * good, and a busy connection costs 36 bytes every ten seconds instead of every 50 packets.
 *
 * The sender holds a datagram that is not full back for up to 2 s and looks every second
 * (IPVS_SYNC_FLUSH_TIME, IPVS_SYNC_CHECK_PERIOD): an entry on a quiet router arrives after 2 to 3 s.
 * One that is full goes after 20 ms; so datagrams are small (sync_maxlen): where connections come and
 * go at one a second, an entry is there after half a second.
 *
 * Source: net/netfilter/ipvs/ip_vs_sync.c, ip_vs_ctl.c (ip_vs_genl_new_daemon), ipvs-sysctl.rst.
 */
#include "ipvs.h"

#include <assert.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <string.h>

#include "internal.h"

/* Bytes of a datagram's payload: its header (8) and four entries (36, and 24 more where a protocol
 * helper has shifted sequence numbers). The receiver's buffer is a frame's size whatever we say. */
#define DATAGRAM_MAX (8 + 4 * 36)

const struct ipvs_sysctl ipvs_sysctls[IPVS_SYSCTLS] = {
	/* Connections are in conntrack as well: there is the mark that their replies go by. */
	{"net/ipv4/vs/conntrack", "1"},
	/* What belonged to a destination that was taken out ends with its next packet. */
	{"net/ipv4/vs/expire_nodest_conn", "1"},
	{"net/ipv4/vs/sync_threshold", "0\t0"}, /* as the kernel shows it */
	{"net/ipv4/vs/sync_refresh_period", "10"},
	{"net/ipv4/vs/sync_retries", "1"},
};

static const uint32_t states[] = {IP_VS_STATE_BACKUP, IP_VS_STATE_MASTER};

struct daemons {
	struct ipvs_sync running[2]; /* as `states`; interface "": none */
	bool small;		     /* the sender has our DATAGRAM_MAX */
};

static int daemon_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct nlattr *top[IPVS_CMD_ATTR_MAX + 1], *tb[IPVS_DAEMON_ATTR_MAX + 1];
	struct daemons *daemons = data;
	int r = msg_parse(hdr, GENL_HDRLEN, top, IPVS_CMD_ATTR_MAX, err);

	if (r < 0 || !top[IPVS_CMD_ATTR_DAEMON])
		return r;
	if (nla_parse_nested(tb, IPVS_DAEMON_ATTR_MAX, top[IPVS_CMD_ATTR_DAEMON], NULL) < 0)
		return err_set(err, -EBADMSG, "malformed IPVS answer");
	if (!tb[IPVS_DAEMON_ATTR_STATE] || !tb[IPVS_DAEMON_ATTR_MCAST_IFN] ||
	    !tb[IPVS_DAEMON_ATTR_SYNC_ID])
		return 0;
	for (size_t i = 0; i < array_len(states); i++) {
		struct ipvs_sync *running = &daemons->running[i];

		if (nla_get_u32(tb[IPVS_DAEMON_ATTR_STATE]) != states[i])
			continue;
		nla_strlcpy(running->interface, tb[IPVS_DAEMON_ATTR_MCAST_IFN],
			    sizeof(running->interface));
		running->id = nla_get_u32(tb[IPVS_DAEMON_ATTR_SYNC_ID]);
		if (states[i] == IP_VS_STATE_MASTER && tb[IPVS_DAEMON_ATTR_SYNC_MAXLEN])
			daemons->small =
				nla_get_u16(tb[IPVS_DAEMON_ATTR_SYNC_MAXLEN]) == DATAGRAM_MAX;
	}
	return 0;
}

static int daemons_observe(struct nl_sock *sk, int id, struct daemons *ret, struct err *err)
{
	auto_nl_msg struct nl_msg *msg =
		msg_genl(id, NLM_F_DUMP, IPVS_CMD_GET_DAEMON, IPVS_GENL_VERSION);

	*ret = (struct daemons){0};
	return net_query(sk, msg, daemon_answer, ret, err);
}

static int daemon_start(struct nl_sock *sk, int id, uint32_t state, const struct ipvs_sync *sync,
			struct err *err)
{
	auto_nl_msg struct nl_msg *msg =
		msg_genl(id, NLM_F_ACK, IPVS_CMD_NEW_DAEMON, IPVS_GENL_VERSION);
	struct nlattr *nest = msg_nest(msg, IPVS_CMD_ATTR_DAEMON);

	msg_put_u32(msg, IPVS_DAEMON_ATTR_STATE, state);
	msg_put_string(msg, IPVS_DAEMON_ATTR_MCAST_IFN, sync->interface);
	msg_put_u32(msg, IPVS_DAEMON_ATTR_SYNC_ID, sync->id);
	if (state == IP_VS_STATE_MASTER)
		msg_put_u16(msg, IPVS_DAEMON_ATTR_SYNC_MAXLEN, DATAGRAM_MAX);
	nla_nest_end(msg, nest);
	return net_talk(sk, msg, err);
}

static int daemon_stop(struct nl_sock *sk, int id, uint32_t state, struct err *err)
{
	auto_nl_msg struct nl_msg *msg =
		msg_genl(id, NLM_F_ACK, IPVS_CMD_DEL_DAEMON, IPVS_GENL_VERSION);
	struct nlattr *nest = msg_nest(msg, IPVS_CMD_ATTR_DAEMON);
	int r;

	msg_put_u32(msg, IPVS_DAEMON_ATTR_STATE, state);
	nla_nest_end(msg, nest);
	r = net_talk(sk, msg, err);
	return r == -ESRCH ? 0 : r;
}

static bool is_as_wanted(const struct daemons *daemons, size_t i, const struct ipvs_sync *sync)
{
	const struct ipvs_sync *running = &daemons->running[i];

	if (states[i] == IP_VS_STATE_MASTER && !daemons->small)
		return false;
	return !strcmp(running->interface, sync->interface) && running->id == sync->id;
}

static int daemon_ensure(struct nl_sock *sk, int id, const struct daemons *daemons, size_t i,
			 const struct ipvs_sync *sync, struct err *err)
{
	int r = 0;

	if (sync && is_as_wanted(daemons, i, sync))
		return 0;
	if (daemons->running[i].interface[0])
		r = daemon_stop(sk, id, states[i], err);
	if (r == 0 && sync)
		r = daemon_start(sk, id, states[i], sync, err);
	return r;
}

static int sysctls_ensure(struct net *net, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < array_len(ipvs_sysctls); i++)
		r = net_sysctl(net, ipvs_sysctls[i].key, ipvs_sysctls[i].value, err);
	return r;
}

int ipvs_sync_ensure(struct net *net, const struct ipvs_sync *sync, struct err *err)
{
	struct daemons daemons;
	struct nl_sock *sk;
	int id, r;

	assert(!sync || (sync->interface[0] && sync->id <= IPVS_SYNC_ID_MAX));
	sk = net_genl(net, IPVS_GENL_NAME, &id, err);
	if (!sk)
		return err->code;
	r = sync ? sysctls_ensure(net, err) : 0;
	if (r == 0)
		r = daemons_observe(sk, id, &daemons, err);
	for (size_t i = 0; r == 0 && i < array_len(states); i++)
		r = daemon_ensure(sk, id, &daemons, i, sync, err);
	return r < 0 ? err_wrap(err, "ipvs sync") : 0;
}

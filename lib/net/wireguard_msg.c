/* Theory of operation
 *
 * The kernel takes and gives a device as a tree of attributes, and neither side may assume that the
 * tree fits one message. Both directions have the same rule (net/wireguard in
 * drivers/net/wireguard/ netlink.c): a peer that does not fit is continued in the next message
 * under the same public key, where only what is still missing stands. So the writer is a cursor
 * over (peer, allowed address) that stops where the message is full, and the reader appends to the
 * last peer while the key stays the same.
 */
#include "wireguard_msg.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/time_types.h>
#include <linux/wireguard.h>
#include <netlink/attr.h>
#include <string.h>

#include "mem.h"

_Static_assert(WG_KEY_BYTES == WG_KEY_LEN, "the kernel's key size");

/* Closes a nested attribute if `ok`, takes it back otherwise. Returns `ok`. */
static bool nest_close(struct nl_msg *msg, struct nlattr *nest, bool ok)
{
	if (ok)
		nla_nest_end(msg, nest);
	else
		nla_nest_cancel(msg, nest);
	return ok;
}

static bool allowed_ip_fill(struct nl_msg *msg, const struct prefix *p)
{
	struct nlattr *nest = nla_nest_start(msg, NLA_F_NESTED);

	if (!nest)
		return false;
	return nest_close(msg, nest,
			  nla_put_u16(msg, WGALLOWEDIP_A_FAMILY, p->addr.family) == 0 &&
				  nla_put(msg, WGALLOWEDIP_A_IPADDR, (int)addr_size(&p->addr),
					  p->addr.bytes) == 0 &&
				  nla_put_u8(msg, WGALLOWEDIP_A_CIDR_MASK, p->len) == 0);
}

static bool endpoint_fill(struct nl_msg *msg, const struct sockaddr_storage *endpoint)
{
	switch (endpoint->ss_family) {
	case AF_INET:
		return nla_put(msg, WGPEER_A_ENDPOINT, sizeof(struct sockaddr_in), endpoint) == 0;
	case AF_INET6:
		return nla_put(msg, WGPEER_A_ENDPOINT, sizeof(struct sockaddr_in6), endpoint) == 0;
	default:
		return true;
	}
}

/* All of a peer but its allowed addresses. */
static bool peer_head_fill(struct nl_msg *msg, const struct wg_peer *peer)
{
	return nla_put_u32(msg, WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS) == 0 &&
	       nla_put(msg, WGPEER_A_PRESHARED_KEY, WG_KEY_BYTES, peer->preshared_key.bytes) == 0 &&
	       nla_put_u16(msg, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
			   (uint16_t)peer->keepalive) == 0 &&
	       endpoint_fill(msg, &peer->endpoint);
}

/* Writes the peer from its allowed address `*at` on. Returns true where all of it found room. */
static bool peer_fill(struct nl_msg *msg, const struct wg_peer *peer, size_t *at)
{
	struct nlattr *nest = nla_nest_start(msg, NLA_F_NESTED), *list;

	if (!nest)
		return false;
	if (nla_put(msg, WGPEER_A_PUBLIC_KEY, WG_KEY_BYTES, peer->public_key.bytes) < 0 ||
	    (*at == 0 && !peer_head_fill(msg, peer)))
		return nest_close(msg, nest, false);
	list = nla_nest_start(msg, WGPEER_A_ALLOWEDIPS | NLA_F_NESTED);
	if (!list)
		return nest_close(msg, nest, false);
	while (*at < peer->n_allowed_ips && allowed_ip_fill(msg, &peer->allowed_ips[*at]))
		(*at)++;
	nla_nest_end(msg, list);
	nla_nest_end(msg, nest);
	return *at == peer->n_allowed_ips;
}

bool wg_message_fill(struct nl_msg *msg, const struct wg_device *dev, struct wg_cursor *at)
{
	struct nlattr *peers;

	nla_put_string(msg, WGDEVICE_A_IFNAME, dev->name);
	if (at->peer == 0 && at->allowed_ip == 0) {
		nla_put_u32(msg, WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
		nla_put(msg, WGDEVICE_A_PRIVATE_KEY, WG_KEY_BYTES, dev->private_key.bytes);
		nla_put_u32(msg, WGDEVICE_A_FWMARK, dev->fwmark);
		if (dev->listen_port)
			nla_put_u16(msg, WGDEVICE_A_LISTEN_PORT, dev->listen_port);
	}
	peers = nla_nest_start(msg, WGDEVICE_A_PEERS | NLA_F_NESTED);
	while (peers && at->peer < dev->n_peers &&
	       peer_fill(msg, &dev->peers[at->peer], &at->allowed_ip)) {
		at->peer++;
		at->allowed_ip = 0;
	}
	if (peers)
		nla_nest_end(msg, peers);
	return at->peer < dev->n_peers;
}

/* --- reading --- */

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "malformed WireGuard answer: %s", what);
}

/* Copies an attribute of exactly `size` bytes; absent ones leave `out` as it is. */
static int copy_attr(const struct nlattr *attr, void *out, size_t size, struct err *err)
{
	if (!attr)
		return 0;
	if ((size_t)nla_len(attr) != size)
		return malformed(err, "attribute of a wrong size");
	memcpy(out, nla_data(attr), size);
	return 0;
}

static int endpoint_merge(const struct nlattr *attr, struct sockaddr_storage *ret, struct err *err)
{
	if (!attr)
		return 0;
	if ((size_t)nla_len(attr) != sizeof(struct sockaddr_in) &&
	    (size_t)nla_len(attr) != sizeof(struct sockaddr_in6))
		return malformed(err, "endpoint of a wrong size");
	memcpy(ret, nla_data(attr), (size_t)nla_len(attr));
	return 0;
}

static int allowed_ip_merge(struct nlattr *nest, struct wg_peer *peer, struct err *err)
{
	struct nlattr *tb[WGALLOWEDIP_A_MAX + 1];
	struct prefix p = {0};
	uint16_t family = AF_UNSPEC;

	if (nla_parse_nested(tb, WGALLOWEDIP_A_MAX, nest, NULL) < 0 || !tb[WGALLOWEDIP_A_FAMILY] ||
	    !tb[WGALLOWEDIP_A_IPADDR] || !tb[WGALLOWEDIP_A_CIDR_MASK])
		return malformed(err, "allowed address");
	if (copy_attr(tb[WGALLOWEDIP_A_FAMILY], &family, sizeof(family), err) < 0 ||
	    copy_attr(tb[WGALLOWEDIP_A_CIDR_MASK], &p.len, sizeof(p.len), err) < 0)
		return err->code;
	p.addr.family = family;
	if (!addr_size(&p.addr) || p.len > addr_bits(&p.addr) ||
	    copy_attr(tb[WGALLOWEDIP_A_IPADDR], p.addr.bytes, addr_size(&p.addr), err) < 0)
		return malformed(err, "allowed address");
	peer->allowed_ips = xreallocarray(peer->allowed_ips, peer->n_allowed_ips + 1, sizeof(p));
	peer->allowed_ips[peer->n_allowed_ips++] = p;
	return 0;
}

/* The last peer where its key is `key`, otherwise a new one behind it. */
static struct wg_peer *peer_of(struct wg_device *dev, const struct wg_key *key)
{
	struct wg_peer *old = dev->peers;

	if (dev->n_peers && wg_key_equal(&old[dev->n_peers - 1].public_key, key))
		return &old[dev->n_peers - 1];
	/* Not realloc: it would leave the preshared keys behind in freed memory. */
	dev->peers = xcalloc(dev->n_peers + 1, sizeof(*dev->peers));
	if (old) {
		memcpy(dev->peers, old, dev->n_peers * sizeof(*old));
		explicit_bzero(old, dev->n_peers * sizeof(*old));
		free(old);
	}
	dev->peers[dev->n_peers].public_key = *key;
	return &dev->peers[dev->n_peers++];
}

static int peer_merge(struct nlattr *nest, struct wg_device *dev, struct err *err)
{
	struct nlattr *tb[WGPEER_A_MAX + 1], *ip;
	struct __kernel_timespec handshake = {0};
	struct wg_peer *peer;
	struct wg_key key;
	uint16_t keepalive = 0;
	int left;

	if (nla_parse_nested(tb, WGPEER_A_MAX, nest, NULL) < 0 || !tb[WGPEER_A_PUBLIC_KEY])
		return malformed(err, "peer");
	if (copy_attr(tb[WGPEER_A_PUBLIC_KEY], &key, sizeof(key), err) < 0)
		return err->code;
	peer = peer_of(dev, &key);
	keepalive = (uint16_t)peer->keepalive;
	handshake.tv_sec = peer->last_handshake;
	if (copy_attr(tb[WGPEER_A_PRESHARED_KEY], &peer->preshared_key, WG_KEY_BYTES, err) < 0 ||
	    copy_attr(tb[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL], &keepalive, sizeof(keepalive),
		      err) < 0 ||
	    copy_attr(tb[WGPEER_A_LAST_HANDSHAKE_TIME], &handshake, sizeof(handshake), err) < 0 ||
	    copy_attr(tb[WGPEER_A_RX_BYTES], &peer->rx_bytes, sizeof(peer->rx_bytes), err) < 0 ||
	    copy_attr(tb[WGPEER_A_TX_BYTES], &peer->tx_bytes, sizeof(peer->tx_bytes), err) < 0 ||
	    endpoint_merge(tb[WGPEER_A_ENDPOINT], &peer->endpoint, err) < 0)
		return err->code;
	peer->keepalive = keepalive;
	peer->last_handshake = handshake.tv_sec;
	if (tb[WGPEER_A_ALLOWEDIPS]) {
		nla_for_each_nested(ip, tb[WGPEER_A_ALLOWEDIPS], left)
		{
			if (allowed_ip_merge(ip, peer, err) < 0)
				return err->code;
		}
	}
	return 0;
}

int wg_message_merge(struct nlmsghdr *hdr, struct wg_device *ret, struct err *err)
{
	struct nlattr *tb[WGDEVICE_A_MAX + 1], *peer;
	int left;

	if (nlmsg_parse(hdr, GENL_HDRLEN, tb, WGDEVICE_A_MAX, NULL) < 0)
		return malformed(err, "device");
	if (copy_attr(tb[WGDEVICE_A_PRIVATE_KEY], &ret->private_key, WG_KEY_BYTES, err) < 0 ||
	    copy_attr(tb[WGDEVICE_A_LISTEN_PORT], &ret->listen_port, sizeof(ret->listen_port),
		      err) < 0 ||
	    copy_attr(tb[WGDEVICE_A_FWMARK], &ret->fwmark, sizeof(ret->fwmark), err) < 0)
		return err->code;
	if (tb[WGDEVICE_A_PEERS]) {
		nla_for_each_nested(peer, tb[WGDEVICE_A_PEERS], left)
		{
			if (peer_merge(peer, ret, err) < 0)
				return err->code;
		}
	}
	return 0;
}

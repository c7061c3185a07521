#include "wireguard.h"

#include <assert.h>
#include <errno.h>
#include <linux/wireguard.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "mem.h"
#include "wireguard_msg.h"

/* --- keys --- */

/* All ones where lo <= c <= hi, else zero; without a branch, so that the time taken tells nothing
 * of a key. All three are small and not negative. */
static int mask_between(int c, int lo, int hi)
{
	return -(int)((unsigned int)((lo - 1 - c) & (c - hi - 1)) >> 31);
}

/* Value of a base64 digit, -1 where it is none. */
static int digit_value(int c)
{
	return -1 + (mask_between(c, 'A', 'Z') & (c - 'A' + 1)) +
	       (mask_between(c, 'a', 'z') & (c - 'a' + 27)) +
	       (mask_between(c, '0', '9') & (c - '0' + 53)) + (mask_between(c, '+', '+') & 63) +
	       (mask_between(c, '/', '/') & 64);
}

static char digit_char(int v)
{
	return (char)((mask_between(v, 0, 25) & (v + 'A')) |
		      (mask_between(v, 26, 51) & (v - 26 + 'a')) |
		      (mask_between(v, 52, 61) & (v - 52 + '0')) | (mask_between(v, 62, 62) & '+') |
		      (mask_between(v, 63, 63) & '/'));
}

/* 32 bytes are ten groups of three and two bytes more: 43 digits, the last with two unused bits,
 * and one '='. */
int wg_key_parse(const char *s, struct wg_key *ret)
{
	uint8_t bytes[WG_KEY_BYTES + 1];
	int bad = 0;

	if (strnlen(s, WG_KEY_B64) != WG_KEY_B64 - 1 || s[WG_KEY_B64 - 2] != '=')
		return -EINVAL;
	for (size_t group = 0; group <= WG_KEY_BYTES / 3; group++) {
		uint32_t bits = 0;

		for (size_t i = 4 * group; i < 4 * group + 4; i++) {
			int v = i == WG_KEY_B64 - 2 ? 0 : digit_value((unsigned char)s[i]);

			bad |= v;
			bits = bits << 6 | ((uint32_t)v & 0x3f);
		}
		for (size_t i = 0; i < 3; i++)
			bytes[3 * group + i] = (uint8_t)(bits >> (16 - 8 * i));
	}
	bad |= -(int)bytes[WG_KEY_BYTES]; /* the unused bits must be zero: one text a key */
	if (bad >= 0)
		memcpy(ret->bytes, bytes, WG_KEY_BYTES);
	explicit_bzero(bytes, sizeof(bytes));
	return bad < 0 ? -EINVAL : 0;
}

const char *wg_key_format(const struct wg_key *k, char buf[static WG_KEY_B64])
{
	for (size_t i = 0; i < WG_KEY_B64 - 2; i++) {
		size_t bit = 6 * i, byte = bit / 8;
		unsigned int next = byte + 1 < WG_KEY_BYTES ? k->bytes[byte + 1] : 0;
		unsigned int pair = (unsigned int)k->bytes[byte] << 8 | next;

		buf[i] = digit_char((int)(pair >> (10 - bit % 8) & 0x3f));
	}
	buf[WG_KEY_B64 - 2] = '=';
	buf[WG_KEY_B64 - 1] = '\0';
	return buf;
}

bool wg_key_equal(const struct wg_key *a, const struct wg_key *b)
{
	volatile uint8_t different = 0;

	for (size_t i = 0; i < WG_KEY_BYTES; i++)
		different |= a->bytes[i] ^ b->bytes[i];
	return !different;
}

bool wg_key_is_zero(const struct wg_key *k)
{
	static const struct wg_key zero;

	return wg_key_equal(k, &zero);
}

/* --- devices as values --- */

void wg_device_clear(struct wg_device *dev)
{
	for (size_t i = 0; i < dev->n_peers; i++)
		free(dev->peers[i].allowed_ips);
	if (dev->peers)
		explicit_bzero(dev->peers, dev->n_peers * sizeof(*dev->peers));
	free(dev->peers);
	explicit_bzero(dev, sizeof(*dev));
}

static int compare_prefixes(const void *pa, const void *pb)
{
	const struct prefix *a = pa, *b = pb;
	int r = addr_cmp(&a->addr, &b->addr);

	return r ? r : a->len - b->len;
}

/* The allowed addresses as the kernel keeps them, host bits cleared, in a fixed order. The caller
 * owns the list. */
static struct prefix *sorted_ips(const struct wg_peer *peer)
{
	struct prefix *list = xcalloc(peer->n_allowed_ips + 1, sizeof(*list));

	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		list[i] = prefix_network(&peer->allowed_ips[i]);
	qsort(list, peer->n_allowed_ips, sizeof(*list), compare_prefixes);
	return list;
}

static bool peer_equal(const struct wg_peer *a, const struct wg_peer *b)
{
	auto_free struct prefix *ips_a = NULL, *ips_b = NULL;

	if (!wg_key_equal(&a->preshared_key, &b->preshared_key) || a->keepalive != b->keepalive ||
	    a->n_allowed_ips != b->n_allowed_ips)
		return false;
	ips_a = sorted_ips(a);
	ips_b = sorted_ips(b);
	for (size_t i = 0; i < a->n_allowed_ips; i++) {
		if (!prefix_equal(&ips_a[i], &ips_b[i]))
			return false;
	}
	return true;
}

static const struct wg_peer *peer_find(const struct wg_device *dev, const struct wg_key *key)
{
	for (size_t i = 0; i < dev->n_peers; i++) {
		if (wg_key_equal(&dev->peers[i].public_key, key))
			return &dev->peers[i];
	}
	return NULL;
}

bool wg_device_equal(const struct wg_device *a, const struct wg_device *b)
{
	if (!wg_key_equal(&a->private_key, &b->private_key) || a->fwmark != b->fwmark ||
	    a->n_peers != b->n_peers)
		return false;
	if (a->listen_port && b->listen_port && a->listen_port != b->listen_port)
		return false;
	for (size_t i = 0; i < a->n_peers; i++) {
		const struct wg_peer *other = peer_find(b, &a->peers[i].public_key);

		if (!other || !peer_equal(&a->peers[i], other))
			return false;
	}
	return true;
}

/* --- the kernel --- */

/* Zeroes a message that carried keys before it is freed. */
static void secret_msgp(struct nl_msg **msg)
{
	if (!*msg)
		return;
	explicit_bzero(nlmsg_hdr(*msg), nlmsg_get_max_size(*msg));
	nlmsg_free(*msg);
}
#define auto_secret_msg __attribute__((cleanup(secret_msgp)))

int wg_device_set(struct net *net, const struct wg_device *dev, struct err *err)
{
	struct wg_cursor at = {0};
	bool more = true;
	int id;
	struct nl_sock *sk = net_genl(net, WG_GENL_NAME, &id, err);

	assert(strnlen(dev->name, sizeof(dev->name)) < sizeof(dev->name));
	if (!sk)
		return err_wrap(err, "wireguard %s", dev->name);
	while (more) {
		auto_secret_msg struct nl_msg *msg =
			msg_genl(id, NLM_F_ACK, WG_CMD_SET_DEVICE, WG_GENL_VERSION);

		more = wg_message_fill(msg, dev, &at);
		if (net_talk(sk, msg, err) < 0)
			return err_wrap(err, "wireguard %s", dev->name);
	}
	return 0;
}

static int merge_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	int r = wg_message_merge(hdr, data, err);

	explicit_bzero(nlmsg_data(hdr), (size_t)nlmsg_datalen(hdr));
	return r;
}

int wg_device_get(struct net *net, const char *name, struct wg_device *ret, struct err *err)
{
	auto_wg_device struct wg_device dev = {0};
	auto_nl_msg struct nl_msg *msg = NULL;
	int id;
	struct nl_sock *sk = net_genl(net, WG_GENL_NAME, &id, err);

	if (!sk)
		return err_wrap(err, "wireguard %s", name);
	msg = msg_genl(id, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
	msg_put_string(msg, WGDEVICE_A_IFNAME, name);
	if (net_query(sk, msg, merge_answer, &dev, err) < 0)
		return err_wrap(err, "wireguard %s", name);
	strncpy(dev.name, name, sizeof(dev.name) - 1);
	*ret = dev;
	explicit_bzero(&dev, sizeof(dev)); /* what it owned is the caller's now */
	return 0;
}

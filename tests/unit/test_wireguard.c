/* Keys as text, and devices through the messages of generic netlink: what is written by
 * wg_message_fill() is read back by wg_message_merge(), as the kernel uses one layout both ways. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "wireguard.h"
#include "wireguard_msg.h"

/* --- keys --- */

static const struct {
	const char *text;
	uint8_t first, last;
} good_keys[] = {
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0x00, 0x00},
	{"//////////////////////////////////////////8=", 0xff, 0xff},
	{"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", 0x01, 0x20},
	{"+/+/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL0=", 0xfb, 0xbd},
};

static const char *const bad_keys[] = {
	"",
	"=",
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",	 /* 31 bytes */
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",	 /* 33 bytes */
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",	 /* unused bits set */
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ", /* something behind it */
	"AAAAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAAA=",	 /* the other alphabet */
	"AAAAAAAAAAAAAAAAAAAA=AAAAAAAAAAAAAAAAAAAAAA=",
	"AAAAAAAAAAAAAAAAAAAA\xc3\xa4"
	"AAAAAAAAAAAAAAAAAAAAA=",
};

static void keys_round_trip(void **state)
{
	for (size_t i = 0; i < sizeof(good_keys) / sizeof(good_keys[0]); i++) {
		char text[WG_KEY_B64];
		struct wg_key key;

		assert_int_equal(wg_key_parse(good_keys[i].text, &key), 0);
		assert_int_equal(key.bytes[0], good_keys[i].first);
		assert_int_equal(key.bytes[WG_KEY_BYTES - 1], good_keys[i].last);
		assert_string_equal(wg_key_format(&key, text), good_keys[i].text);
	}
}

static void each_digit_in_each_place(void **state)
{
	struct wg_key key = {0}, again;
	char text[WG_KEY_B64];

	for (unsigned int round = 0; round < 256; round++) {
		for (size_t i = 0; i < WG_KEY_BYTES; i++)
			key.bytes[i] = (uint8_t)(key.bytes[i] * 5 + round + i);
		assert_int_equal(wg_key_parse(wg_key_format(&key, text), &again), 0);
		assert_true(wg_key_equal(&key, &again));
	}
}

static void bad_keys_are_refused(void **state)
{
	for (size_t i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
		struct wg_key key = {.bytes = {42}};

		assert_int_equal(wg_key_parse(bad_keys[i], &key), -EINVAL);
		assert_int_equal(key.bytes[0], 42);
	}
}

static void zero_and_equal(void **state)
{
	struct wg_key a = {0}, b = {0};

	assert_true(wg_key_is_zero(&a));
	b.bytes[31] = 1;
	assert_false(wg_key_is_zero(&b));
	assert_false(wg_key_equal(&a, &b));
}

/* --- devices --- */

static struct wg_key key_of(uint8_t n)
{
	struct wg_key key;

	memset(key.bytes, n, sizeof(key.bytes));
	return key;
}

/* A device whose peer i has counts[i] allowed addresses, every third of them IPv6. */
static void make_device(struct wg_device *dev, const size_t *counts, size_t n)
{
	*dev = (struct wg_device){.name = "wg-nl", .private_key = key_of(200), .fwmark = 77};
	dev->peers = xcalloc(n, sizeof(*dev->peers));
	dev->n_peers = n;
	for (size_t i = 0; i < n; i++) {
		struct wg_peer *peer = &dev->peers[i];
		struct sockaddr_in *endpoint = (struct sockaddr_in *)&peer->endpoint;

		peer->public_key = key_of((uint8_t)(i + 1));
		peer->preshared_key = key_of((uint8_t)(i + 101));
		peer->keepalive = 25;
		endpoint->sin_family = AF_INET;
		endpoint->sin_port = htons(51820);
		inet_pton(AF_INET, "203.0.113.101", &endpoint->sin_addr);
		peer->allowed_ips = xcalloc(counts[i] + 1, sizeof(struct prefix));
		peer->n_allowed_ips = counts[i];
		for (size_t j = 0; j < counts[i]; j++) {
			struct prefix base;

			assert_int_equal(prefix_parse(j % 3 ? "10.0.0.0/32" : "fd00::/128", &base),
					 0);
			base.addr = addr_add(&base.addr, (int64_t)j);
			peer->allowed_ips[j] = base;
		}
	}
}

/* Writes `dev` in as many messages as it takes and reads them back. Returns their number. */
static unsigned int through_messages(const struct wg_device *dev, struct wg_device *ret)
{
	struct wg_cursor at = {0};
	unsigned int messages = 0;
	bool more = true;

	while (more) {
		const struct genlmsghdr header = {.cmd = WG_CMD_SET_DEVICE};
		struct nl_msg *msg = nlmsg_alloc_simple(100, 0);
		struct err err = {0};

		assert_int_equal(nlmsg_append(msg, (void *)&header, sizeof(header), 4), 0);
		more = wg_message_fill(msg, dev, &at);
		assert_int_equal(wg_message_merge(nlmsg_hdr(msg), ret, &err), 0);
		nlmsg_free(msg);
		messages++;
	}
	return messages;
}

static void one_message_is_enough_for_an_exit(void **state)
{
	auto_wg_device struct wg_device dev, got = {0};
	const size_t counts[] = {2};

	make_device(&dev, counts, 1);
	assert_int_equal(through_messages(&dev, &got), 1);
	assert_true(wg_device_equal(&dev, &got));
	assert_memory_equal(&got.peers[0].endpoint, &dev.peers[0].endpoint,
			    sizeof(struct sockaddr_in));
}

static void many_addresses_take_several_messages(void **state)
{
	auto_wg_device struct wg_device dev, got = {0};
	const size_t counts[] = {3000, 0, 1, 1000, 70};

	make_device(&dev, counts, 5);
	assert_true(through_messages(&dev, &got) > 10);
	assert_int_equal(got.n_peers, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(got.peers[i].n_allowed_ips, counts[i]);
		for (size_t j = 0; j < counts[i]; j++)
			assert_true(prefix_equal(&got.peers[i].allowed_ips[j],
						 &dev.peers[i].allowed_ips[j]));
	}
	assert_true(wg_device_equal(&dev, &got));
}

static void no_peers_at_all(void **state)
{
	auto_wg_device struct wg_device dev, got = {0};

	make_device(&dev, NULL, 0);
	assert_int_equal(through_messages(&dev, &got), 1);
	assert_true(wg_device_equal(&dev, &got));
}

static void differences_are_seen(void **state)
{
	auto_wg_device struct wg_device a, b;
	const size_t counts[] = {3, 2};
	struct wg_peer swap;

	make_device(&a, counts, 2);
	make_device(&b, counts, 2);
	swap = b.peers[0];
	b.peers[0] = b.peers[1];
	b.peers[1] = swap;
	assert_true(wg_device_equal(&a, &b)); /* the order of peers is not part of it */
	b.peers[0].keepalive++;
	assert_false(wg_device_equal(&a, &b));
	b.peers[0].keepalive--;
	b.peers[0].allowed_ips[1].len--;
	b.peers[0].allowed_ips[1].addr.bytes[3] = 9;
	assert_false(wg_device_equal(&a, &b));
	b.peers[0].allowed_ips[1] = a.peers[1].allowed_ips[1];
	assert_true(wg_device_equal(&a, &b));
	b.private_key.bytes[0]++;
	assert_false(wg_device_equal(&a, &b));
}

static void clear_zeroes(void **state)
{
	static const struct wg_device zero;
	const size_t counts[] = {1};
	struct wg_device dev;

	make_device(&dev, counts, 1);
	wg_device_clear(&dev);
	assert_memory_equal(&dev, &zero, sizeof(dev));
}

static void malformed_answers_are_refused(void **state)
{
	auto_wg_device struct wg_device got = {0};
	const struct genlmsghdr header = {0};
	struct nl_msg *msg = nlmsg_alloc_simple(100, 0);
	struct err err = {0};

	assert_int_equal(nlmsg_append(msg, (void *)&header, sizeof(header), 4), 0);
	nla_put(msg, WGDEVICE_A_PRIVATE_KEY, 5, "short");
	assert_int_equal(wg_message_merge(nlmsg_hdr(msg), &got, &err), -EBADMSG);
	nlmsg_free(msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_round_trip),
		cmocka_unit_test(each_digit_in_each_place),
		cmocka_unit_test(bad_keys_are_refused),
		cmocka_unit_test(zero_and_equal),
		cmocka_unit_test(one_message_is_enough_for_an_exit),
		cmocka_unit_test(many_addresses_take_several_messages),
		cmocka_unit_test(no_peers_at_all),
		cmocka_unit_test(differences_are_seen),
		cmocka_unit_test(clear_zeroes),
		cmocka_unit_test(malformed_answers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

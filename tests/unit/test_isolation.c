/* Against the kernel, in a network namespace of its own; skipped where one cannot be made. */
#include "test.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "cleanup.h"
#include "isolation.h"
#include "net.h"
#include "nfset.h"

static bool have_namespace;

static struct isolation_entry entry_make(const char *port, const char *mac, const char *addr)
{
	struct isolation_entry e = {0};

	snprintf(e.port, sizeof(e.port), "%s", port);
	assert_int_equal(mac_parse(mac, &e.mac), 0);
	assert_int_equal(addr_parse(addr, &e.addr), 0);
	return e;
}

static void alias_goes_there_and_back(void **state)
{
	const struct isolation_entry e = entry_make("p0", "02:bb:0a:00:00:07", "10.0.0.7");
	struct isolation_entry back = {0};
	char alias[64] = "byway c1/net1";

	isolation_alias_append(&e, alias, sizeof(alias));
	assert_string_equal(alias, "byway c1/net1 02:bb:0a:00:00:07 10.0.0.7");
	assert_true(isolation_alias_parse(alias, &back));
	assert_true(mac_equal(&back.mac, &e.mac) && addr_equal(&back.addr, &e.addr));
}

static void other_aliases_have_no_entry(void **state)
{
	static const char *const aliases[] = {
		"",
		"byway",
		"byway c1/net1",
		"byway network vpn",
		"byway c1/net1 02:bb:0a:00:00:07",
		"byway c1/net1 02:bb:0a:00:00 10.0.0.7",
		"byway c1/net1 02:bb:0a:00:00:07 10.0.0",
		"byway c1/net1 02:bb:0a:00:00:07 fd00::1",
		"other c1/net1 02:bb:0a:00:00:07 10.0.0.7",
		"byway c1/net1 02:bb:0a:00:00:07:08 10.0.0.7",
	};
	struct isolation_entry e;

	for (size_t i = 0; i < array_len(aliases); i++) {
		if (isolation_alias_parse(aliases[i], &e))
			fail_msg("\"%s\" is taken", aliases[i]);
	}
}

static void owner_is_the_first_part_of_an_alias(void **state)
{
	struct attachment a = {0};

	attach_name(&a, "c1", "net1");
	assert_true(attach_owns(&a, "byway c1/net1"));
	assert_true(attach_owns(&a, "byway c1/net1 02:bb:0a:00:00:07 10.0.0.7"));
	assert_false(attach_owns(&a, "byway c1/net10"));
	assert_false(attach_owns(&a, "byway c1/net"));
	assert_false(attach_owns(&a, ""));
}

/* --- against the kernel --- */

static struct net *open_net(void)
{
	struct err err;
	struct net *net;

	if (!have_namespace)
		skip();
	if (net_open(NULL, &net, &err) < 0)
		fail_msg("%s", err.text);
	if (net_nft(net,
		    "table bridge " ISOLATION_TABLE " {\n"
		    "set " ISOLATION_MACS " { type ifname . ether_addr; }\n"
		    "set " ISOLATION_ADDRESSES " { type ifname . ipv4_addr; }\n}",
		    &err) < 0)
		fail_msg("%s", err.text);
	return net;
}

static void close_net(struct net *net)
{
	struct err err;

	assert_int_equal(net_nft(net, "delete table bridge " ISOLATION_TABLE, &err), 0);
	net_close(net);
}

static void entries_are_as_nft_means_them(void **state)
{
	const struct isolation_entry e = entry_make("p0", "02:bb:0a:00:00:07", "10.0.0.7");
	struct net *net = open_net();
	struct err err;

	assert_int_equal(isolation_enter(-1, &e, &err), 0);
	assert_int_equal(isolation_enter(-1, &e, &err), 0);
	assert_int_equal(isolation_check(-1, &e, &err), 0);
	assert_int_equal(
		net_nft(net, "delete element bridge byway macs { p0 . 02:bb:0a:00:00:07 }", &err),
		0);
	assert_int_equal(isolation_check(-1, &e, &err), -ENOENT);
	assert_int_equal(
		net_nft(net, "delete element bridge byway addresses { p0 . 10.0.0.7 }", &err), 0);
	assert_int_equal(
		net_nft(net, "add element bridge byway macs { p0 . 02:bb:0a:00:00:07 }", &err), 0);
	assert_int_equal(net_nft(net, "add element bridge byway addresses { p0 . 10.0.0.7 }", &err),
			 0);
	assert_int_equal(isolation_check(-1, &e, &err), 0);
	close_net(net);
}

static void missing_table_is_told_and_changes_nothing(void **state)
{
	const struct isolation_entry e = entry_make("p0", "02:bb:0a:00:00:07", "10.0.0.7");
	struct net *net = open_net();
	struct isolation_changes changes;
	struct err err;

	assert_int_equal(isolation_ready(-1, &err), 0);
	assert_int_equal(net_nft(net, "delete set bridge byway addresses", &err), 0);
	assert_int_equal(isolation_ready(-1, &err), -ENOENT);
	assert_int_equal(isolation_enter(-1, &e, &err), -ENOENT);
	assert_int_equal(isolation_restore(net, &changes, &err), -ENOENT);
	assert_non_null(strstr(err.text, "set addresses"));
	assert_int_equal(
		net_nft(net, "add set bridge byway addresses { type ifname . ipv4_addr; }", &err),
		0);
	assert_int_equal(isolation_restore(net, &changes, &err), 0);
	assert_int_equal(changes.removed, 0); /* nothing was entered by half */
	close_net(net);
}

static void count_key(const struct nfset_key *key, void *data)
{
	(*(size_t *)data)++;
}

/* More than a transaction has, and ports that are not there. */
static void stale_entries_are_swept(void **state)
{
	struct net *net = open_net();
	struct isolation_changes changes;
	struct err err;
	size_t n = 0;

	for (int i = 0; i < 200; i++) {
		struct isolation_entry e = entry_make("p", "02:bb:0a:00:00:00", "10.0.0.0");

		snprintf(e.port, sizeof(e.port), "p%d", i);
		assert_int_equal(isolation_enter(-1, &e, &err), 0);
	}
	assert_int_equal(nfset_each(-1, ISOLATION_TABLE, ISOLATION_MACS, count_key, &n, &err), 0);
	assert_int_equal(n, 200);
	assert_int_equal(isolation_restore(net, &changes, &err), 0);
	assert_int_equal(changes.entered, 0);
	assert_int_equal(changes.removed, 400);
	assert_int_equal(isolation_restore(net, &changes, &err), 0);
	assert_int_equal(changes.removed, 0);
	close_net(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alias_goes_there_and_back),
		cmocka_unit_test(other_aliases_have_no_entry),
		cmocka_unit_test(owner_is_the_first_part_of_an_alias),
		cmocka_unit_test(entries_are_as_nft_means_them),
		cmocka_unit_test(missing_table_is_told_and_changes_nothing),
		cmocka_unit_test(stale_entries_are_swept),
	};

	have_namespace = unshare(CLONE_NEWNET) == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

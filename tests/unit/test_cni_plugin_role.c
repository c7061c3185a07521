/* What each role gets: the client's way out, the sysctls of those who forward. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "role.h"
#include "strbuf.h"

static const char *const types[] = {"via", "local", "unreachable", "throw"};

/* Routes of a client with these intranet prefixes, a line each: those of the main table, or those
 * of the guard's. */
static char *client_routes(const char *const *intranet, size_t n, unsigned int table)
{
	auto_attachment struct attachment link = {0};
	auto_strbuf struct strbuf b = {0};
	struct netconf c = {.role = ROLE_CLIENT, .intranet.n = n};
	auto_free struct prefix *prefixes = xcalloc(n + 1, sizeof(*prefixes));

	for (size_t i = 0; i < n; i++)
		assert_int_equal(prefix_parse(intranet[i], &prefixes[i]), 0);
	c.intranet.items = prefixes;
	assert_int_equal(addr_parse("192.168.50.240", &c.vip), 0);
	assert_int_equal(prefix_parse("192.168.50.0/24", &c.subnet), 0);
	role_routes(&c, &link);
	assert_int_equal(link.guard.table, 187);
	for (size_t i = 0; i < link.n_routes; i++) {
		const struct attach_route *r = &link.routes[i];
		char dst[PREFIX_STRLEN], via[ADDR_STRLEN];

		assert_false(r->made);
		/* All but the way to the network itself. */
		assert_int_equal(r->way_out, !prefix_equal(&r->dst, &c.subnet));
		if (r->table == table)
			strbuf_add(&b, "%s %s %s %u\n", prefix_format(&r->dst, dst), types[r->type],
				   addr_size(&r->via) ? addr_format(&r->via, via) : "-", r->metric);
	}
	return strbuf_steal(&b);
}

static void assert_main(const char *const *intranet, size_t n, const char *expected)
{
	auto_free char *got = client_routes(intranet, n, 0);

	assert_string_equal(got, expected);
}

static void assert_guard(const char *const *intranet, size_t n, const char *expected)
{
	auto_free char *got = client_routes(intranet, n, 187);

	assert_string_equal(got, expected);
}

static void test_split(void **state)
{
	static const char *const ten[] = {"10.0.0.0/8"}, *const half[] = {"128.0.0.0/1"};
	static const char *const prefixes[] = {"0.0.0.0/5",  "8.0.0.0/7",  "11.0.0.0/8",
					       "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3",
					       "64.0.0.0/2", "128.0.0.0/1"};
	auto_strbuf struct strbuf wanted = {0};

	for (size_t i = 0; i < array_len(prefixes); i++)
		strbuf_add(&wanted, "%s via 192.168.50.240 0\n", prefixes[i]);
	strbuf_add(&wanted, "2000::/3 unreachable - 4096\n");
	assert_main(ten, 1, strbuf_text(&wanted));
	assert_main(NULL, 0, "0.0.0.0/0 via 192.168.50.240 0\n2000::/3 unreachable - 4096\n");
	assert_main(half, 1, "0.0.0.0/1 via 192.168.50.240 0\n2000::/3 unreachable - 4096\n");
}

/* Complement in main, the prefixes themselves in the guard's table. */
static void test_guard(void **state)
{
	static const char *const mixed[] = {"10.0.0.5/8", "2000::/4", "192.0.2.0/24", "fd00::/8"};

	assert_guard(NULL, 0,
		     "192.168.50.0/24 via - 0\n"
		     "0.0.0.0/0 via 192.168.50.240 0\n"
		     "0.0.0.0/0 unreachable - 4096\n"
		     "2000::/3 unreachable - 4096\n");
	assert_guard(mixed, 4,
		     "192.168.50.0/24 via - 0\n"
		     "0.0.0.0/0 via 192.168.50.240 0\n"
		     "0.0.0.0/0 unreachable - 4096\n"
		     "10.0.0.0/8 throw - 0\n"
		     "192.0.2.0/24 throw - 0\n"
		     "3000::/4 unreachable - 4096\n");
}

/* Everything of IPv6 that is not global, and the intranet. */
static void test_allowed(void **state)
{
	static const char *const expected[] = {"::/3", "4000::/2", "8000::/1", "10.0.0.0/8",
					       "2001:db8::/32"};
	auto_attachment struct attachment link = {0};
	struct prefix intranet[2];
	struct netconf c = {.role = ROLE_CLIENT, .intranet = {.items = intranet, .n = 2}};
	char text[PREFIX_STRLEN];

	assert_int_equal(prefix_parse("10.0.0.0/8", &intranet[0]), 0);
	assert_int_equal(prefix_parse("2001:db8::/32", &intranet[1]), 0);
	assert_int_equal(prefix_parse("192.168.50.0/24", &c.subnet), 0);
	role_routes(&c, &link);
	assert_int_equal(link.guard.n_allowed, array_len(expected));
	for (size_t i = 0; i < array_len(expected); i++)
		assert_string_equal(prefix_format(&link.guard.allowed[i], text), expected[i]);
}

static void test_others_have_no_routes(void **state)
{
	static const enum cni_role roles[] = {ROLE_ROUTER, ROLE_GATEWAY, ROLE_SYNC};

	for (size_t i = 0; i < array_len(roles); i++) {
		auto_attachment struct attachment link = {0};
		struct netconf c = {.role = roles[i]};

		role_routes(&c, &link);
		assert_int_equal(link.n_routes, 0);
		assert_int_equal(link.guard.table, 0);
	}
}

static bool has(const struct attach_sysctl *list, size_t n, const char *key, const char *value)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(list[i].key, key) && !strcmp(list[i].value, value))
			return true;
	}
	return false;
}

static void test_sysctls(void **state)
{
	struct attach_sysctl list[ROLE_SYSCTLS_MAX];
	size_t n;

	assert_int_equal(role_sysctls(ROLE_CLIENT, "net1", list), 0);
	assert_int_equal(role_sysctls(ROLE_SYNC, "sync", list), 0);
	n = role_sysctls(ROLE_GATEWAY, "vlan.123456789.", list); /* as long as a name can be */
	assert_true(has(list, n, "net/ipv4/ip_forward", "1"));
	assert_true(has(list, n, "net/ipv4/conf/vlan.123456789./send_redirects", "0"));
	assert_true(has(list, n, "net/ipv4/conf/default/arp_ignore", "1"));
	assert_true(has(list, n, "net/ipv4/fwmark_reflect", "1"));
	n = role_sysctls(ROLE_ROUTER, "net1", list);
	assert_true(has(list, n, "net/ipv4/conf/net1/rp_filter", "0"));
	assert_true(has(list, n, "net/ipv4/conf/default/arp_notify", "1"));
	assert_true(has(list, n, "net/ipv4/icmp_ratemask", "0"));
	assert_string_equal(list[0].key, "net/ipv4/ip_forward"); /* it resets others */
}

static void test_port_names(void **state)
{
	struct attachment a = {0}, b = {0};

	attach_name(&a, "c1", "net1");
	assert_string_equal(a.alias, "byway c1/net1");
	assert_int_equal(strlen(a.port), 13);
	attach_name(&b, "c1", "net1");
	assert_string_equal(a.port, b.port);
	attach_name(&b, "c1", "net2");
	assert_string_not_equal(a.port, b.port);
	attach_name(&b, "c2", "net1");
	assert_string_not_equal(a.port, b.port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),	cmocka_unit_test(test_guard),
		cmocka_unit_test(test_allowed), cmocka_unit_test(test_others_have_no_routes),
		cmocka_unit_test(test_sysctls), cmocka_unit_test(test_port_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What each role gets: the client's way out, the sysctls of those who forward. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "role.h"
#include "strbuf.h"

/* Routes of a client with these intranet prefixes, a line each. */
static char *client_routes(const char *const *intranet, size_t n)
{
	auto_attachment struct attachment link = {0};
	auto_strbuf struct strbuf b = {0};
	struct netconf c = {.role = ROLE_CLIENT, .intranet.n = n};
	auto_free struct prefix *prefixes = xcalloc(n, sizeof(*prefixes));

	for (size_t i = 0; i < n; i++)
		assert_int_equal(prefix_parse(intranet[i], &prefixes[i]), 0);
	c.intranet.items = prefixes;
	assert_int_equal(addr_parse("192.168.50.240", &c.vip), 0);
	role_routes(&c, &link);
	for (size_t i = 0; i < link.n_routes; i++) {
		const struct attach_route *r = &link.routes[i];
		char dst[PREFIX_STRLEN], via[ADDR_STRLEN];

		assert_false(r->made);
		if (r->type == ROUTE_UNREACHABLE)
			strbuf_add(&b, "%s unreachable %u\n", prefix_format(&r->dst, dst),
				   r->metric);
		else
			strbuf_add(&b, "%s %s\n", prefix_format(&r->dst, dst),
				   addr_format(&r->via, via));
	}
	return strbuf_steal(&b);
}

static void test_split(void **state)
{
	static const char *const ten[] = {"10.0.0.0/8"}, *const half[] = {"128.0.0.0/1"};
	static const char *const prefixes[] = {"0.0.0.0/5",  "8.0.0.0/7",  "11.0.0.0/8",
					       "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3",
					       "64.0.0.0/2", "128.0.0.0/1"};
	auto_strbuf struct strbuf wanted = {0};
	auto_free char *got = client_routes(ten, 1);
	auto_free char *all = client_routes(NULL, 0);
	auto_free char *lower = client_routes(half, 1);

	for (size_t i = 0; i < array_len(prefixes); i++)
		strbuf_add(&wanted, "%s 192.168.50.240\n%s unreachable 4096\n", prefixes[i],
			   prefixes[i]);
	strbuf_add(&wanted, "2000::/3 unreachable 4096\n");
	assert_string_equal(got, strbuf_text(&wanted));
	assert_string_equal(all, "0.0.0.0/0 192.168.50.240\n0.0.0.0/0 unreachable 4096\n"
				 "2000::/3 unreachable 4096\n");
	assert_string_equal(lower, "0.0.0.0/1 192.168.50.240\n0.0.0.0/1 unreachable 4096\n"
				   "2000::/3 unreachable 4096\n");
}

static void test_others_have_no_routes(void **state)
{
	static const enum cni_role roles[] = {ROLE_ROUTER, ROLE_GATEWAY, ROLE_SYNC};

	for (size_t i = 0; i < array_len(roles); i++) {
		auto_attachment struct attachment link = {0};
		struct netconf c = {.role = roles[i]};

		role_routes(&c, &link);
		assert_int_equal(link.n_routes, 0);
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
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_others_have_no_routes),
		cmocka_unit_test(test_sysctls),
		cmocka_unit_test(test_port_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Configurations that are taken, and what becomes of them; those refused are in tests/bad-config.
 */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "netconf.h"

static void parse(const char *json, struct config_text *text)
{
	struct err err = {0};

	if (netconf_parse(json, strlen(json), text, &err))
		fail_msg("%s", err.text);
}

static void load(const char *json, struct netconf *c)
{
	auto_config_text struct config_text text = {0};
	struct err err = {0};

	parse(json, &text);
	if (netconf_load(&text, c, &err))
		fail_msg("%s", err.text);
}

static void test_defaults(void **state)
{
	auto_netconf struct netconf c = {0};
	const struct prefix *intranet;
	char text[PREFIX_STRLEN];

	load("{\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"role\":\"client\","
	     "\"subnet\":\"192.168.50.0/24\",\"vip\":\"192.168.50.240\"}",
	     &c);
	assert_string_equal(c.network, "vpn");
	assert_string_equal(c.netns, "/run/netns/byway");
	assert_string_equal(c.lease_dir, "/run/byway/leases");
	assert_int_equal(c.mtu, 0);
	assert_int_equal(c.version, CNI_1_0_0);
	assert_int_equal(c.intranet.n, 1);
	intranet = c.intranet.items;
	assert_string_equal(prefix_format(intranet, text), "10.0.0.0/8");
}

/* As Go's decoder reads it: any case, the exact spelling first, null for absent, the last of
 * doubles. */
static void test_json_as_cni_reads_it(void **state)
{
	auto_netconf struct netconf c = {0};

	load("{\"NAME\":\"vpn\",\"Role\":\"gateway\",\"MTU\":1300,\"mtu\":1200,\"mtu\":1250,"
	     "\"vip\":null,\"subnet\":null,\"CNIVersion\":\"0.3.1\",\"keys\":{\"of\":\"others\"},"
	     "\"intranet\":[],\"ipam\":{},\"runtimeConfig\":{\"portMappings\":[]}}",
	     &c);
	assert_int_equal(c.role, ROLE_GATEWAY);
	assert_int_equal(c.mtu, 1250);
	assert_int_equal(c.version, CNI_0_3_1);
	assert_int_equal(c.vip.family, AF_UNSPEC);
	assert_int_equal(c.intranet.n, 0);
}

static void test_network_beside_a_long_name(void **state)
{
	auto_netconf struct netconf c = {0};

	load("{\"cniVersion\":\"1.0.0\",\"name\":\"team-a.internet-through-vpn\","
	     "\"network\":\"vpn\",\"role\":\"gateway\",\"mtu\":0}",
	     &c);
	assert_string_equal(c.network, "vpn");
	assert_int_equal(c.mtu, 0);
}

static void test_intranet_of_both_families(void **state)
{
	auto_netconf struct netconf c = {0};
	const struct prefix *intranet;
	char text[PREFIX_STRLEN];

	load("{\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"role\":\"client\","
	     "\"subnet\":\"192.168.50.0/24\",\"vip\":\"192.168.50.240\","
	     "\"intranet\":[\"2001:db8::/32\",\"172.16.0.0/12\",\"fd00::/8\"]}",
	     &c);
	assert_int_equal(c.intranet.n, 3);
	intranet = c.intranet.items;
	assert_string_equal(prefix_format(&intranet[0], text), "2001:db8::/32");
	assert_string_equal(prefix_format(&intranet[2], text), "fd00::/8");
}

static void test_delegate_log_and_dns(void **state)
{
	auto_netconf struct netconf c = {0}, none = {0};
	char *const *servers;

	load("{\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"role\":\"sync\","
	     "\"subnet\":\"192.168.51.0/24\",\"IPAM\":{\"Type\":\"host-local\",\"ranges\":[[]]},"
	     "\"logFile\":\"/var/log/byway.log\",\"logLevel\":\"Verbose\","
	     "\"dns\":{\"nameservers\":[\"192.168.51.3\"],\"domain\":\"\"},"
	     "\"prevResult\":{\"ips\":[]}}",
	     &c);
	assert_string_equal(c.ipam_type, "host-local");
	assert_string_equal(c.log_file, "/var/log/byway.log");
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	servers = c.dns.nameservers.items;
	assert_int_equal(c.dns.nameservers.n, 1);
	assert_string_equal(servers[0], "192.168.51.3");
	assert_null(c.dns.domain);
	load("{\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"role\":\"gateway\",\"ipam\":{},"
	     "\"logLevel\":\"debug\",\"prevResult\":null}",
	     &none);
	assert_null(none.ipam_type);
	assert_null(none.prev_result);
	assert_null(none.log_file);
	assert_int_equal(none.log_level, LOG_LEVEL_DEBUG);
}

static void load_names(const char *json, struct netconf *c)
{
	auto_config_text struct config_text text = {0};

	parse(json, &text);
	netconf_load_names(&text, c);
}

static void test_names_for_del(void **state)
{
	auto_netconf struct netconf c = {0}, broken = {0};

	load_names("{\"name\":\"long.name\",\"network\":\"vpn\",\"netns\":\"/n\",\"vip\":[],"
		   "\"ipam\":{\"type\":\"static\"},\"prevResult\":7}",
		   &c);
	assert_string_equal(c.ipam_type, "static");
	assert_string_equal(c.network, "vpn");
	assert_string_equal(c.netns, "/n");
	assert_string_equal(c.lease_dir, "/run/byway/leases");
	load_names("{\"name\":7,\"netns\":\"relative\",\"leaseDir\":{},\"ipam\":{\"type\":\"/x\"}}",
		   &broken);
	assert_null(broken.network);
	assert_null(broken.ipam_type);
	assert_string_equal(broken.netns, "/run/netns/byway");
}

static void test_missing_version_is_the_oldest(void **state)
{
	static const char *const texts[] = {"{}", "{\"cniVersion\":\"\"}", "{\"cniVersion\":null}"};

	for (size_t i = 0; i < array_len(texts); i++) {
		auto_config_text struct config_text text = {0};
		enum cni_version version = CNI_1_1_0;
		struct err err = {0};

		parse(texts[i], &text);
		assert_int_equal(netconf_version(&text, &version, &err), CNI_OK);
		assert_int_equal(version, CNI_0_1_0);
	}
}

static void test_nul_in_the_middle(void **state)
{
	static const char bytes[] = "{\"name\":\"vpn\"}\0{}";
	auto_config_text struct config_text text = {0};
	struct err err = {0};

	assert_int_equal(netconf_parse(bytes, sizeof(bytes) - 1, &text, &err), CNI_BAD_JSON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_json_as_cni_reads_it),
		cmocka_unit_test(test_network_beside_a_long_name),
		cmocka_unit_test(test_intranet_of_both_families),
		cmocka_unit_test(test_delegate_log_and_dns),
		cmocka_unit_test(test_names_for_del),
		cmocka_unit_test(test_missing_version_is_the_oldest),
		cmocka_unit_test(test_nul_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

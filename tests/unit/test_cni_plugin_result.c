/* Documents on standard output, in each version of the specification. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "result.h"

static const struct addr none = {.family = AF_UNSPEC};

static struct attach_route routes[2] = {{.type = ROUTE_UNICAST}, {.type = ROUTE_UNREACHABLE}};

static struct attachment client(struct addr *vip)
{
	struct attachment a = {.ifname = "net1", .mtu = 1400, .routes = routes, .n_routes = 2};

	assert_int_equal(addr_parse("192.168.50.240", vip), 0);
	assert_int_equal(prefix_parse("192.168.50.1/24", &a.addr), 0);
	assert_int_equal(prefix_parse("128.0.0.0/1", &routes[0].dst), 0);
	assert_int_equal(prefix_parse("2000::/3", &routes[1].dst), 0);
	routes[0].via = *vip;
	a.mac = mac_from_addr(&a.addr.addr);
	return a;
}

#define ROUTES	"\"routes\":[{\"dst\":\"128.0.0.0/1\",\"gw\":\"192.168.50.240\"}]"
#define ADDRESS "\"address\":\"192.168.50.1/24\",\"gateway\":\"192.168.50.240\""
#define NAME	"\"name\":\"net1\",\"mac\":\"02:bb:c0:a8:32:01\","
#define SANDBOX "\"sandbox\":\"/run/netns/a\""

static void test_attached(void **state)
{
	static const struct {
		enum cni_version version;
		const char *text;
	} cases[] = {
		{CNI_0_2_0, "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"192.168.50.1/24\","
			    "\"gateway\":\"192.168.50.240\"," ROUTES "},\"dns\":{}}"},
		{CNI_0_4_0, "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{" NAME SANDBOX "}],"
			    "\"ips\":[{\"version\":\"4\",\"interface\":0," ADDRESS "}]," ROUTES
			    ",\"dns\":{}}"},
		{CNI_1_0_0, "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{" NAME SANDBOX "}],"
			    "\"ips\":[{\"interface\":0," ADDRESS "}]," ROUTES ",\"dns\":{}}"},
		{CNI_1_1_0,
		 "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{" NAME "\"mtu\":1400," SANDBOX "}],"
		 "\"ips\":[{\"interface\":0," ADDRESS "}]," ROUTES ",\"dns\":{}}"},
	};
	struct addr vip;
	const struct attachment a = client(&vip);

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_free char *text = result_attached(cases[i].version, &a, "/run/netns/a", &vip);

		assert_string_equal(text, cases[i].text);
	}
}

static void test_without_address(void **state)
{
	const struct attachment a = {.ifname = "net1", .mtu = 1400};
	auto_free char *text = result_attached(CNI_1_0_0, &a, "/run/netns/a", &none);

	assert_string_equal(text, "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"net1\","
				  "\"mac\":\"00:00:00:00:00:00\"," SANDBOX "}],\"ips\":[],"
				  "\"routes\":[],\"dns\":{}}");
}

static void test_errors(void **state)
{
	auto_free char *text = result_error(CNI_0_3_1, CNI_BAD_CONFIG, "stdin:1: \"x\"");
	auto_free char *bytes = result_error(CNI_1_1_0, CNI_BAD_ENV, "CNI_IFNAME: \xff\x01");

	assert_string_equal(text, "{\"cniVersion\":\"0.3.1\",\"code\":7,\"msg\":\"invalid network "
				  "configuration\",\"details\":\"stdin:1: \\\"x\\\"\"}");
	assert_non_null(strstr(bytes, "CNI_IFNAME: ?\\u0001"));
}

static void test_versions(void **state)
{
	auto_free char *text = result_versions(CNI_0_4_0);

	assert_string_equal(text, "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":[\"0.1.0\","
				  "\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attached),
		cmocka_unit_test(test_without_address),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

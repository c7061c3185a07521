/* Documents on standard output, in each version of the specification. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "result.h"
#include "strbuf.h"

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

static int decode(const char *json, enum cni_version version, struct result *r, struct err *err)
{
	auto_config_text struct config_text text = {0};
	struct config_value root;

	assert_int_equal(config_text_parse("r", json, &text, err), 0);
	root = config_root(&text);
	return result_decode(&root, version, r, err);
}

static void must_decode(const char *json, struct result *r)
{
	struct err err = {0};

	if (decode(json, CNI_1_0_0, r, &err) < 0)
		fail_msg("%s: %s", json, err.text);
}

#define ROUTE	"{\"dst\":\"128.0.0.0/1\",\"gw\":\"192.168.50.240\"}"
#define ADDRESS "\"address\":\"192.168.50.1/24\",\"gateway\":\"192.168.50.240\""
#define NAME	"\"name\":\"net1\",\"mac\":\"02:bb:c0:a8:32:01\","
#define SANDBOX "\"sandbox\":\"/run/netns/a\""
#define OLD_IP4 \
	"\"ip4\":{\"ip\":\"192.168.50.1/24\",\"gateway\":\"192.168.50.240\",\"routes\":[" ROUTE "]}"
#define IN_0_3(version)                                                                \
	"{\"cniVersion\":\"" version "\",\"interfaces\":[{" NAME SANDBOX "}],"         \
	"\"ips\":[{\"version\":\"4\",\"interface\":0," ADDRESS "}],\"routes\":[" ROUTE \
	"],\"dns\":{}}"

static const char *const alone[CNI_VERSIONS] = {
	[CNI_0_1_0] = "{\"cniVersion\":\"0.1.0\"," OLD_IP4 ",\"dns\":{}}",
	[CNI_0_2_0] = "{\"cniVersion\":\"0.2.0\"," OLD_IP4 ",\"dns\":{}}",
	[CNI_0_3_0] = IN_0_3("0.3.0"),
	[CNI_0_3_1] = IN_0_3("0.3.1"),
	[CNI_0_4_0] = IN_0_3("0.4.0"),
	[CNI_1_0_0] = "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{" NAME SANDBOX "}],"
		      "\"ips\":[{\"interface\":0," ADDRESS "}],\"routes\":[" ROUTE "],\"dns\":{}}",
	[CNI_1_1_0] =
		"{\"cniVersion\":\"1.1.0\",\"interfaces\":[{" NAME "\"mtu\":1400," SANDBOX
		"}],\"ips\":[{\"interface\":0," ADDRESS "}],\"routes\":[" ROUTE "],\"dns\":{}}",
};

static void test_alone(void **state)
{
	struct addr vip;
	const struct attachment a = client(&vip);

	for (size_t i = 0; i < CNI_VERSIONS; i++) {
		auto_result struct result r = {0};
		auto_free char *text = NULL;

		result_append(&r, &a, "/run/netns/a", &vip);
		text = result_format(&r, (enum cni_version)i);
		assert_string_equal(text, alone[i]);
	}
}

static void test_without_address(void **state)
{
	const struct attachment a = {.ifname = "net1", .mtu = 1400};
	auto_result struct result r = {0};
	auto_free char *text = NULL;

	result_append(&r, &a, "/run/netns/a", &none);
	text = result_format(&r, CNI_1_0_0);
	assert_string_equal(text, "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"net1\","
				  "\"mac\":\"00:00:00:00:00:00\"," SANDBOX "}],\"ips\":[],"
				  "\"routes\":[],\"dns\":{}}");
}

/* Of a chain: what was there before, ours behind it, with the index of our interface. */
static const char previous_1_1[] =
	"{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"br0\",\"mac\":\"0a:00:00:00:00:01\"},"
	"{\"name\":\"eth0\",\"mtu\":1500,\"socketPath\":\"/s\",\"pciID\":\"0000:00:1f.6\","
	"\"sandbox\":\"/run/netns/a\"}],"
	"\"ips\":[{\"interface\":1,\"address\":\"10.1.0.7/16\",\"gateway\":\"10.1.0.1\"},"
	"{\"address\":\"2001:db8::7/64\"}],"
	"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\",\"mtu\":1400,\"advmss\":1360,"
	"\"priority\":0,\"table\":254,\"scope\":0},{\"dst\":\"::/0\"}],"
	"\"dns\":{\"nameservers\":[\"10.1.0.2\"],\"domain\":\"a.b\",\"search\":[\"b\",\"c\"],"
	"\"options\":[\"ndots:5\"]}}";

static void test_chained(void **state)
{
	static const char wanted_1_1[] =
		"{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"br0\",\"mac\":\"0a:00:00:00:00:01\"},"
		"{\"name\":\"eth0\",\"mtu\":1500,\"socketPath\":\"/s\",\"pciID\":\"0000:00:1f.6\","
		"\"sandbox\":\"/run/netns/a\"},{" NAME "\"mtu\":1400," SANDBOX "}],"
		"\"ips\":[{\"interface\":1,\"address\":\"10.1.0.7/16\",\"gateway\":\"10.1.0.1\"},"
		"{\"address\":\"2001:db8::7/64\"},{\"interface\":2," ADDRESS "}],"
		"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\",\"mtu\":1400,\"advmss\":1360,"
		"\"priority\":0,\"table\":254,\"scope\":0},{\"dst\":\"::/0\"}," ROUTE "],"
		"\"dns\":{\"nameservers\":[\"10.1.0.2\"],\"domain\":\"a.b\",\"search\":[\"b\",\"c\"],"
		"\"options\":[\"ndots:5\"]}}";
	static const char wanted_0_4[] =
		"{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"br0\",\"mac\":\"0a:00:00:00:00:01\"},"
		"{\"name\":\"eth0\",\"sandbox\":\"/run/netns/a\"},{" NAME SANDBOX "}],"
		"\"ips\":[{\"version\":\"4\",\"interface\":1,\"address\":\"10.1.0.7/16\",\"gateway\":\"10.1.0.1\"},"
		"{\"version\":\"6\",\"address\":\"2001:db8::7/64\"},{\"version\":\"4\",\"interface\":2," ADDRESS
		"}],"
		"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"},{\"dst\":\"::/0\"}," ROUTE
		"],"
		"\"dns\":{\"nameservers\":[\"10.1.0.2\"],\"domain\":\"a.b\",\"search\":[\"b\",\"c\"],"
		"\"options\":[\"ndots:5\"]}}";
	auto_result struct result r = {0};
	auto_free char *newest = NULL, *older = NULL;
	struct addr vip;
	const struct attachment a = client(&vip);

	must_decode(previous_1_1, &r);
	result_append(&r, &a, "/run/netns/a", &vip);
	newest = result_format(&r, CNI_1_1_0);
	assert_string_equal(newest, wanted_1_1);
	older = result_format(&r, CNI_0_4_0);
	assert_string_equal(older, wanted_0_4);
}

/* From the two oldest versions, whose routes are inside, to the newest and back. */
static void test_old_previous(void **state)
{
	static const char old[] =
		"{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.0.7/16\",\"gateway\":\"10.1.0.1\","
		"\"routes\":[{\"dst\":\"0.0.0.0/0\"}]},\"ip6\":{\"ip\":\"2001:db8::7/64\","
		"\"routes\":[{\"dst\":\"::/0\",\"gw\":\"2001:db8::1\"}]},\"dns\":{}}";
	auto_result struct result r = {0};
	auto_free char *text = NULL, *again = NULL;

	must_decode(old, &r);
	text = result_format(&r, CNI_1_0_0);
	assert_string_equal(text,
			    "{\"cniVersion\":\"1.0.0\",\"interfaces\":[],\"ips\":["
			    "{\"address\":\"10.1.0.7/16\",\"gateway\":\"10.1.0.1\"},"
			    "{\"address\":\"2001:db8::7/64\"}],\"routes\":["
			    "{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/0\",\"gw\":\"2001:db8::1\"}],"
			    "\"dns\":{}}");
	again = result_format(&r, CNI_0_2_0);
	assert_string_equal(again, old);
}

/* Without a version of its own a result is read as the configuration's. */
static void test_version_of_the_configuration(void **state)
{
	static const char old[] = "{\"ip4\":{\"ip\":\"10.1.0.7/16\"}}";
	static const char newer[] = "{\"CNIVersion\":\"\",\"IPs\":[{\"Address\":\"10.1.0.7/16\","
				    "\"gateway\":\"\",\"unknown\":7}],\"routes\":null}";
	auto_result struct result as_old = {0}, as_new = {0};
	struct err err = {0};

	assert_int_equal(decode(old, CNI_0_2_0, &as_old, &err), 0);
	assert_int_equal(as_old.ips.n, 1);
	assert_int_equal(decode(newer, CNI_1_0_0, &as_new, &err), 0);
	assert_int_equal(as_new.ips.n, 1);
}

static void test_refused(void **state)
{
	static const struct {
		const char *json, *words;
	} cases[] = {
		{"[]", "must be an object"},
		{"{\"cniVersion\":\"9.9.9\"}", "r:1: cniVersion: is no version"},
		{"{\"cniVersion\":7}", "is no version"},
		{"{\"ips\":{}}", "ips: must be a list"},
		{"{\"ips\":[null]}", "ips[0]: must be an object"},
		{"{\"ips\":[{}]}", "ips[0]: key \"address\" is missing"},
		{"{\"ips\":[{\"address\":\"10.1.0.7/33\"}]}", "ips[0].address: \"10.1.0.7/33\""},
		{"{\"ips\":[{\"address\":\"10.1.0.7/8\",\"gateway\":\"x\"}]}", "ips[0].gateway"},
		{"{\"ips\":[{\"address\":\"10.1.0.7/8\",\"interface\":0}]}",
		 "address 0 is on interface 0 of 0"},
		{"{\"ips\":[{\"address\":\"10.1.0.7/8\",\"interface\":-1}]}",
		 "ips[0].interface: -1 is not within"},
		{"{\"ips\":[{\"address\":\"10.1.0.7/8\",\"interface\":1.0}]}",
		 "ips[0].interface: must be a whole number"},
		{"{\"interfaces\":[{\"mac\":\"x\"}]}", "interfaces[0]: key \"name\" is missing"},
		{"{\"routes\":[{\"gw\":\"10.1.0.1\"}]}", "routes[0]: key \"dst\" is missing"},
		{"{\"routes\":[{\"dst\":\"::/0\",\"mtu\":4294967296}]}", "routes[0].mtu"},
		{"{\"dns\":{\"search\":\"a\"}}", "dns.search: must be a list"},
		{"{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"::1/128\"}}",
		 "ip4: is an address of the other family"},
		{"{\"cniVersion\":\"0.1.0\",\"ip6\":{\"ip\":\"10.0.0.1/8\"}}",
		 "ip6: is an address of the other family"},
		{"{\"cniVersion\":\"0.2.0\",\"ip4\":{}}", "ip4: key \"ip\" is missing"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_result struct result r = {0};
		struct err err = {0};

		if (decode(cases[i].json, CNI_1_0_0, &r, &err) == 0 ||
		    !strstr(err.text, cases[i].words))
			fail_msg("%s: %s", cases[i].json, err.text);
	}
}

/* A list of `n` items. */
static int decode_many(const char *key, const char *item, size_t n, struct err *err)
{
	auto_strbuf struct strbuf b = {0};
	auto_result struct result r = {0};

	strbuf_add(&b, "{\"%s\":[", key);
	for (size_t i = 0; i < n; i++)
		strbuf_add(&b, "%s%s", i ? "," : "", item);
	strbuf_add(&b, "]}");
	return decode(strbuf_text(&b), CNI_1_0_0, &r, err);
}

static void test_limits(void **state)
{
	static const struct {
		const char *key, *item;
		size_t max;
	} cases[] = {
		{"interfaces", "{\"name\":\"a\"}", RESULT_INTERFACES_MAX},
		{"ips", "{\"address\":\"10.0.0.1/8\"}", RESULT_IPS_MAX},
		{"routes", "{\"dst\":\"10.0.0.0/8\"}", RESULT_ROUTES_MAX},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		struct err err = {0};

		assert_int_equal(decode_many(cases[i].key, cases[i].item, cases[i].max, &err), 0);
		assert_int_not_equal(
			decode_many(cases[i].key, cases[i].item, cases[i].max + 1, &err), 0);
		assert_non_null(strstr(err.text, "are allowed"));
	}
}

#define IP4 "{\"address\":\"10.1.0.7/16\"}"
#define IP6 "{\"address\":\"2001:db8::7/64\"}"

static void test_what_old_versions_can_express(void **state)
{
	static const struct {
		const char *ips;
		bool address, fits;
	} cases[] = {
		{"", true, true},	    {"", false, false},		{IP4, true, false},
		{IP4, false, true},	    {IP6, true, true},		{IP6, false, true},
		{IP6 "," IP6, true, false}, {IP4 "," IP6, false, true}, {IP4 "," IP6, true, false},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_result struct result r = {0};
		struct err err = {0};
		char json[256];

		snprintf(json, sizeof(json), "{\"ips\":[%s]}", cases[i].ips);
		must_decode(json, &r);
		assert_int_equal(result_fits(&r, cases[i].address, CNI_0_3_0, &err), 0);
		for (size_t version = CNI_0_1_0; version <= CNI_0_2_0; version++) {
			bool fits = result_fits(&r, cases[i].address, (enum cni_version)version,
						&err) == 0;

			if (fits != cases[i].fits)
				fail_msg("%s: %s", json, err.text);
		}
	}
}

static void test_dns_of_the_most_specific(void **state)
{
	auto_result struct result r = {0}, ours = {0}, empty = {0};
	auto_free char *text = NULL;

	must_decode("{\"dns\":{\"domain\":\"first\",\"options\":[\"x\"]}}", &r);
	must_decode("{\"dns\":{\"nameservers\":[\"10.0.0.1\"]}}", &ours);
	result_take_dns(&r, &empty.dns);
	assert_string_equal(r.dns.domain, "first");
	result_take_dns(&r, &ours.dns);
	text = result_format(&r, CNI_0_4_0);
	assert_non_null(strstr(text, "\"dns\":{\"nameservers\":[\"10.0.0.1\"]}"));
	assert_int_equal(ours.dns.nameservers.n, 0);
}

static void test_errors(void **state)
{
	auto_free char *text = result_error(CNI_0_3_1, CNI_BAD_CONFIG, "stdin:1: \"x\"");
	auto_free char *bytes = result_error(CNI_1_1_0, CNI_BAD_ENV, "CNI_IFNAME: \xff\x01");

	assert_string_equal(text, "{\"cniVersion\":\"0.3.1\",\"code\":7,\"msg\":\"invalid network "
				  "configuration\",\"details\":\"stdin:1: \\\"x\\\"\"}");
	assert_non_null(strstr(bytes, "CNI_IFNAME: ??"));
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
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_without_address),
		cmocka_unit_test(test_chained),
		cmocka_unit_test(test_old_previous),
		cmocka_unit_test(test_version_of_the_configuration),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_what_old_versions_can_express),
		cmocka_unit_test(test_dns_of_the_most_specific),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

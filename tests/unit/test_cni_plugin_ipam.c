/* What a delegate answers, and what becomes of its addresses and routes. The delegates themselves
 * run in tests/cni. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ipam.h"
#include "strbuf.h"

static void load(const char *json, struct netconf *c)
{
	auto_config_text struct config_text text = {0};
	struct err err = {0};

	if (netconf_parse(json, strlen(json), &text, &err) || netconf_load(&text, c, &err))
		fail_msg("%s", err.text);
}

#define NETWORK                                                                     \
	"\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"subnet\":\"192.168.50.0/24\"," \
	"\"vip\":\"192.168.50.240\",\"intranet\":[\"10.0.0.0/8\"],\"ipam\":{\"type\":\"x\"}"
#define CLIENT "{\"role\":\"client\"," NETWORK "}"
#define ROUTER "{\"role\":\"router\"," NETWORK "}"
#define IP     "\"ips\":[{\"address\":\"192.168.50.7/27\",\"gateway\":\"192.168.50.240\"}]"

/* The delegate's answer to a configuration: "ADDRESS" and a line for each route, or the error. */
static char *use(const char *conf, const char *answer)
{
	auto_attachment struct attachment link = {0};
	auto_netconf struct netconf c = {0};
	auto_result struct result given = {0};
	auto_strbuf struct strbuf b = {0};
	char text[PREFIX_STRLEN], via[ADDR_STRLEN];
	struct err err = {0};

	load(conf, &c);
	if (ipam_decode_result(answer, strlen(answer), c.version, &given, &err) < 0 ||
	    ipam_use(&c, &given, &link, &err)) {
		strbuf_add(&b, "%s", err.text);
		return strbuf_steal(&b);
	}
	strbuf_add(&b, "%s", prefix_format(&link.addr, text));
	for (size_t i = 0; i < link.n_routes; i++) {
		assert_int_equal(link.routes[i].type, ROUTE_UNICAST);
		strbuf_add(&b, " %s by %s", prefix_format(&link.routes[i].dst, text),
			   addr_format(&link.routes[i].via, via));
	}
	return strbuf_steal(&b);
}

#define ROUTES(list) "{" IP ",\"routes\":[" list "]}"
#define ONE(address) "{\"ips\":[{\"address\":\"" address "\"}]}"

static void test_use(void **state)
{
	static const struct {
		const char *conf, *answer, *wanted;
	} cases[] = {
		/* the subnet's length, whatever part of it the delegate knows */
		{CLIENT, "{" IP "}", "192.168.50.7/24"},
		{CLIENT, "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"192.168.50.7/24\"}}",
		 "192.168.50.7/24"},
		{CLIENT, "{}", "ipam x: gave no address"},
		{CLIENT,
		 "{\"ips\":[{\"address\":\"192.168.50.7/24\"},{\"address\":\"fd00::1/64\"}]}",
		 "ipam x: gave 2 addresses: an interface has one"},
		{CLIENT, ONE("fd00::1/64"), "ipam x: gave fd00::1: the network carries IPv4"},
		{CLIENT, ONE("192.168.50.240/24"), "ipam x: gave 192.168.50.240, which is the VIP"},
		{CLIENT, ONE("192.168.51.7/24"),
		 "ipam x: gave 192.168.51.7, not an address for a host in 192.168.50.0/24"},
		{CLIENT, ONE("192.168.50.255/24"),
		 "ipam x: gave 192.168.50.255, not an address for a host in 192.168.50.0/24"},

		/* a client: into the intranet as the delegate says, anywhere else by the VIP alone */
		{CLIENT, ROUTES("{\"dst\":\"10.9.0.0/16\",\"gw\":\"192.168.50.1\"}"),
		 "192.168.50.7/24 10.9.0.0/16 by 192.168.50.1"},
		{CLIENT, ROUTES("{\"dst\":\"10.9.0.5/16\"}"),
		 "192.168.50.7/24 10.9.0.0/16 by 192.168.50.240"},
		{CLIENT, ROUTES("{\"dst\":\"0.0.0.0/0\"}"), "192.168.50.7/24"},
		{CLIENT, ROUTES("{\"dst\":\"0.0.0.0/0\",\"gw\":\"192.168.50.240\"}"),
		 "192.168.50.7/24"},
		{CLIENT, ROUTES("{\"dst\":\"0.0.0.0/0\",\"gw\":\"192.168.50.1\"}"),
		 "ipam x: route 0.0.0.0/0 by 192.168.50.1: a client's way to there is the VIP alone"},
		{CLIENT, ROUTES("{\"dst\":\"10.0.0.0/7\",\"gw\":\"192.168.50.1\"}"),
		 "ipam x: route 10.0.0.0/7 by 192.168.50.1: a client's way to there is the VIP alone"},
		{CLIENT, ROUTES("{\"dst\":\"8.8.8.8/32\",\"gw\":\"10.244.0.1\"}"),
		 "ipam x: route 8.8.8.8/32 by 10.244.0.1: a client's way to there is the VIP alone"},
		{CLIENT, ROUTES("{\"dst\":\"::/0\",\"gw\":\"fd00::1\"}"),
		 "ipam x: route ::/0 by fd00::1: a client's way to there is the VIP alone"},
		{CLIENT, ROUTES("{\"dst\":\"10.9.0.0/16\",\"gw\":\"10.244.0.1\"}"),
		 "ipam x: route 10.9.0.0/16: its gateway (10.244.0.1) is not in the subnet"},
		{CLIENT,
		 "{\"ips\":[{\"address\":\"192.168.50.7/24\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}",
		 "ipam x: route 0.0.0.0/0 by none: a client's way to there is the VIP alone"},

		/* others: what it says */
		{ROUTER, ROUTES("{\"dst\":\"172.16.0.0/12\",\"gw\":\"192.168.50.1\"}"),
		 "192.168.50.7/24 172.16.0.0/12 by 192.168.50.1"},
		{ROUTER, ROUTES("{\"dst\":\"172.16.0.0/12\",\"gw\":\"192.168.51.1\"}"),
		 "ipam x: route 172.16.0.0/12: its gateway (192.168.51.1) is not in the subnet"},

		{CLIENT, "", "its answer:1: '[' or '{' expected near end of file"},
		{CLIENT, "[]", "its answer:1: must be an object"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_free char *got = use(cases[i].conf, cases[i].answer);

		assert_string_equal(got, cases[i].wanted);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *text;
		enum cni_code code;
		const char *words;
	} cases[] = {
		{"{\"code\":11,\"msg\":\"again\",\"details\":\"later\"}", CNI_AGAIN,
		 "again: later"},
		{"{\"code\":999,\"msg\":\"two\\nlines\"}", (enum cni_code)999, "two lines"},
		{"{\"code\":0,\"msg\":\"nought\"}", CNI_IO, "nought"},
		{"{\"code\":-7}", CNI_IO, "failed"},
		{"{\"code\":4294967297}", CNI_IO, "failed"},
		{"{\"code\":\"7\",\"msg\":7}", CNI_IO, "failed"},
		{"[]", CNI_IO, "failed"},
		{"", CNI_IO, "failed, and did not say why: "},
		{"panic:\n\tat", CNI_IO, "failed, and did not say why: panic:  at"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		struct err err = {0};
		enum cni_code code = ipam_decode_error(cases[i].text, strlen(cases[i].text), &err);

		assert_int_equal(code, cases[i].code);
		assert_string_equal(err.text, cases[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

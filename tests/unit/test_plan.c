#include "objects.h"

#include <string.h>

#include "cleanup.h"
#include "plan.h"

#define BRIDGE "{\"object\":\"link\",\"name\":\"br\",\"kind\":\"bridge\",\"up\":true"
#define VXLAN \
	"{\"object\":\"link\",\"name\":\"vx\",\"kind\":\"vxlan\",\"up\":true,\"master\":\"br\",\"vni\":"
#define FDB	"{\"object\":\"fdb\",\"dev\":\"vx\",\"dst\":\"172.20.0.12\"}"
#define MACVLAN "{\"object\":\"link\",\"name\":\"x\",\"kind\":\"macvlan\",\"up\":true,\"parent\":"
#define ROUTE	"{\"object\":\"route\",\"table\":9,\"dst\":\"0.0.0.0/0\",\"dev\":\"x\""
#define RULE	"{\"object\":\"rule\",\"pref\":9,\"table\":"
#define ADDRESS "{\"object\":\"address\",\"dev\":\"x\",\"prefix\":\"10.0.0.1/24\""
#define WG	"{\"object\":\"link\",\"name\":\"wg\",\"kind\":\"wireguard\""
#define WGROUTE "{\"object\":\"route\",\"table\":8,\"dst\":\"0.0.0.0/0\",\"dev\":\"wg\"}"
#define AT	"\"protocol\":\"tcp\",\"addr\":\"10.0.0.1\",\"port\":53"
#define SERVICE "{\"object\":\"ipvs-service\"," AT ",\"scheduler\":"
#define DEST	"{\"object\":\"ipvs-destination\"," AT ",\"to\":\"10.0.0.9\",\"to-port\":53"

static const struct {
	const char *name, *wanted, *actual, *expected;
} cases[] = {
	{"nothing", "[]", "[]", ""},
	{"all new, in the order wanted", "[" BRIDGE "}," VXLAN "1}," FDB "]", "[]",
	 "create link br kind bridge up\n"
	 "create link vx kind vxlan up master br vni 1\n"
	 "create fdb 00:00:00:00:00:00 dst 172.20.0.12 dev vx\n"},
	{"all there", "[" BRIDGE "}," RULE "1}]", "[" RULE "1}," BRIDGE ",\"mtu\":1500}]",
	 "keep link br kind bridge up\n"
	 "keep rule pref 9 table 1\n"},
	{"what is not wanted goes, in reverse", "[]", "[" BRIDGE "}," RULE "1}]",
	 "delete rule pref 9 table 1\n"
	 "delete link br kind bridge up\n"},
	{"changed in place", "[" BRIDGE ",\"mtu\":1400}]", "[" BRIDGE ",\"mtu\":1500}]",
	 "update link br kind bridge mtu 1400 up\n"},
	{"a replaced vxlan loses its entries", "[" BRIDGE "}," VXLAN "2}," FDB "]",
	 "[" BRIDGE "}," VXLAN "1}," FDB "]",
	 "delete link vx kind vxlan up master br vni 1\n"
	 "keep link br kind bridge up\n"
	 "create link vx kind vxlan up master br vni 2\n"
	 "create fdb 00:00:00:00:00:00 dst 172.20.0.12 dev vx\n"},
	{"a replaced bridge loses its ports",
	 "[{\"object\":\"link\",\"name\":\"br\",\"kind\":\"vxlan\"}," VXLAN "1}]",
	 "[" BRIDGE "}," VXLAN "1}]",
	 "delete link br kind bridge up\n"
	 "create link br kind vxlan\n"
	 "update link vx kind vxlan up master br vni 1\n"},
	{"a macvlan's end takes what is on it", "[]",
	 "[" MACVLAN "\"net1\"}," ROUTE "}," ADDRESS "}]",
	 "delete link x kind macvlan up parent net1\n"},
	{"a replaced macvlan's addresses and routes are made again",
	 "[" MACVLAN "\"net2\"}," ADDRESS "}," ROUTE "}]",
	 "[" MACVLAN "\"net1\"}," ADDRESS "}," ROUTE "}]",
	 "delete link x kind macvlan up parent net1\n"
	 "create link x kind macvlan up parent net2\n"
	 "create address 10.0.0.1/24 dev x\n"
	 "create route table 9 dst 0.0.0.0/0 dev x\n"},
	{"a macvlan falls with its lower device", "[" MACVLAN "\"br\"}," ROUTE "}]",
	 "[" BRIDGE ",\"ours\":true}," MACVLAN "\"br\"}," ROUTE "}]",
	 "delete link br kind bridge up\n"
	 "create link x kind macvlan up parent br\n"
	 "create route table 9 dst 0.0.0.0/0 dev x\n"},
	{"a foreign link is left alone", "[" BRIDGE ",\"mtu\":1400}]",
	 "[" BRIDGE ",\"mtu\":1500,\"ours\":false}]", "foreign link br kind bridge mtu 1500 up\n"},
	{"a foreign route is left alone", "[" ROUTE "}]",
	 "[" ROUTE ",\"via\":\"10.0.0.2\",\"ours\":false}]",
	 "foreign route table 9 dst 0.0.0.0/0 via 10.0.0.2 dev x\n"},
	{"what is foreign and not wanted is not mentioned", "[]",
	 "[" ROUTE ",\"ours\":false}," ADDRESS ",\"ours\":false}]", ""},
	{"anybody's address is good", "[" ADDRESS "}]", "[" ADDRESS ",\"ours\":false}]",
	 "keep address 10.0.0.1/24 dev x\n"},
	{"an existing interface is set up, never made ours",
	 "[{\"object\":\"link\",\"name\":\"lo\",\"up\":true}]",
	 "[{\"object\":\"link\",\"name\":\"lo\",\"ours\":false}]", "update link lo up\n"},
	{"an existing interface is never deleted", "[]", "[{\"object\":\"link\",\"name\":\"p1\"}]",
	 ""},
	{"a rule is replaced", "[" RULE "2}]", "[" RULE "1}]",
	 "delete rule pref 9 table 1\n"
	 "create rule pref 9 table 2\n"},
	{"of two rules of one preference the right one stays", "[" RULE "2}]",
	 "[" RULE "1}," RULE "2}]",
	 "delete rule pref 9 table 1\n"
	 "keep rule pref 9 table 2\n"},
	{"a route is replaced in place", "[" ROUTE "}]", "[" ROUTE ",\"via\":\"10.0.0.2\"}]",
	 "update route table 9 dst 0.0.0.0/0 dev x\n"},
	{"a link that goes down loses its routes", "[" WG "}]", "[" WG ",\"up\":true}," WGROUTE "]",
	 "update link wg kind wireguard\n"},
	{"a link that comes up gets them", "[" WG ",\"up\":true}," WGROUTE "]", "[" WG "}]",
	 "update link wg kind wireguard up\n"
	 "create route table 8 dst 0.0.0.0/0 dev wg\n"},
	{"a service takes its destinations along", "[]", "[" SERVICE "\"mh\"}," DEST "}]",
	 "delete ipvs-service tcp 10.0.0.1 port 53 scheduler mh\n"},
	{"a service and a weight are changed in place", "[" SERVICE "\"wlc\"}," DEST "}]",
	 "[" SERVICE "\"mh\"}," DEST ",\"weight\":1}]",
	 "update ipvs-service tcp 10.0.0.1 port 53 scheduler wlc\n"
	 "update ipvs-destination tcp 10.0.0.1 port 53 to 10.0.0.9 to-port 53 weight 0\n"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		auto_object_list struct object_list wanted = {0}, actual = {0};
		auto_plan struct plan plan = {0};
		auto_strbuf struct strbuf b = {0};

		objects_parse(cases[i].wanted, &wanted);
		objects_parse(cases[i].actual, &actual);
		plan_make(&wanted, &actual, &plan);
		plan_print(&plan, true, &b);
		if (strcmp(strbuf_text(&b), cases[i].expected) != 0)
			fail_msg("%s: got\n%s", cases[i].name, strbuf_text(&b));
	}
}

static void test_empty(void **state)
{
	auto_object_list struct object_list wanted = {0}, actual = {0};
	auto_plan struct plan keep = {0}, change = {0};
	auto_strbuf struct strbuf b = {0};

	(void)state;
	objects_parse("[" RULE "1}," ROUTE "}]", &wanted);
	objects_parse("[" RULE "1}," ROUTE ",\"ours\":false}]", &actual);
	plan_make(&wanted, &actual, &keep);
	assert_true(plan_empty(&keep));
	plan_print(&keep, false, &b);
	assert_string_equal(strbuf_text(&b), "foreign route table 9 dst 0.0.0.0/0 dev x\n");
	plan_make(&wanted, &(struct object_list){0}, &change);
	assert_false(plan_empty(&change));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "objects.h"

#include <string.h>

#include "cleanup.h"

/* JSON of one object and the line that object_print() makes of it. */
static void test_print(void **state)
{
	static const struct {
		const char *json, *line;
	} cases[] = {
		{"{\"object\":\"link\",\"name\":\"br-vpn\",\"kind\":\"bridge\",\"mtu\":1400,\"up\":true,"
		 "\"mac\":\"02:bb:0a:00:00:01\",\"alias\":\"byway node\"}",
		 "link br-vpn kind bridge mac 02:bb:0a:00:00:01 mtu 1400 up alias \"byway node\""},
		{"{\"object\":\"link\",\"name\":\"vx-vpn\",\"kind\":\"vxlan\",\"vni\":7950,\"port\":14789,"
		 "\"local\":\"172.20.0.11\",\"master\":\"br-vpn\"}",
		 "link vx-vpn kind vxlan master br-vpn vni 7950 port 14789 local 172.20.0.11"},
		{"{\"object\":\"link\",\"name\":\"lo\"}", "link lo"},
		{"{\"object\":\"address\",\"dev\":\"vip\",\"prefix\":\"192.168.50.240/32\"}",
		 "address 192.168.50.240/32 dev vip"},
		{"{\"object\":\"route\",\"table\":1001,\"dst\":\"0.0.0.0/0\",\"type\":\"local\",\"dev\":\"lo\"}",
		 "route table 1001 dst 0.0.0.0/0 type local dev lo"},
		{"{\"object\":\"route\",\"table\":7,\"dst\":\"10.0.0.1\",\"via\":\"10.0.0.1\",\"dev\":\"x-nl\","
		 "\"onlink\":true,\"src\":\"10.0.0.2\",\"metric\":5}",
		 "route table 7 dst 10.0.0.1/32 metric 5 via 10.0.0.1 dev x-nl src 10.0.0.2 onlink"},
		{"{\"object\":\"rule\",\"pref\":110,\"fwmark\":1,\"table\":1001}",
		 "rule pref 110 fwmark 1 table 1001"},
		{"{\"object\":\"rule\",\"pref\":400,\"from\":\"192.168.50.248\",\"iif\":\"lo\",\"table\":4000}",
		 "rule pref 400 iif lo from 192.168.50.248/32 table 4000"},
		{"{\"object\":\"fdb\",\"dev\":\"vx-vpn\",\"dst\":\"172.20.0.12\"}",
		 "fdb 00:00:00:00:00:00 dst 172.20.0.12 dev vx-vpn"},
		{"{\"object\":\"ipvs-service\",\"protocol\":\"udp\",\"addr\":\"192.168.50.240\","
		 "\"port\":53,\"scheduler\":\"mh\",\"flags\":24}",
		 "ipvs-service udp 192.168.50.240 port 53 scheduler mh flags 24"},
		{"{\"object\":\"ipvs-destination\",\"protocol\":\"tcp\",\"addr\":\"192.168.52.248\","
		 "\"port\":5000,\"to\":\"192.168.50.10\",\"to-port\":8000,\"forwarding\":3}",
		 "ipvs-destination tcp 192.168.52.248 port 5000 to 192.168.50.10 to-port 8000 "
		 "weight 0 forwarding 3"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		auto_object_list struct object_list list = {0};
		auto_strbuf struct strbuf b = {0}, json = {0};

		strbuf_add(&json, "[%s]", cases[i].json);
		objects_parse(strbuf_text(&json), &list);
		assert_int_equal(list.n, 1);
		assert_true(list.items[0].ours);
		object_print(&list.items[0], &b);
		assert_string_equal(strbuf_text(&b), cases[i].line);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{"[{\"object\":\"tunnel\"}]", "t:1: [0]: key \"object\" names no kind of object"},
		{"[{}]", "t:1: [0]: key \"object\" names no kind of object"},
		{"[{\"object\":\"link\"}]", "t:1: [0]: key \"name\" is missing"},
		{"[{\"object\":\"link\",\"name\":\"a\",\"vlan\":1}]", "t:1: [0].vlan: unknown key"},
		{"[{\"object\":\"link\",\"name\":\"0123456789abcdef\"}]",
		 "t:1: [0].name: longer than 15 characters"},
		{"[{\"object\":\"link\",\"name\":\"a\",\"kind\":\"dummy\"}]",
		 "t:1: [0].kind: \"dummy\" is none of any, bridge, vxlan, macvlan, wireguard"},
		{"[{\"object\":\"rule\",\"pref\":-1}]",
		 "t:1: [0].pref: -1 is not within 0 to 4294967295"},
		{"[{\"object\":\"ipvs-service\",\"addr\":\"1.1.1.1\",\"port\":1}]",
		 "t:1: [0]: key \"protocol\" is missing"},
		{"[{\"object\":\"ipvs-service\",\"protocol\":\"sctp\",\"addr\":\"1.1.1.1\",\"port\":1}]",
		 "t:1: [0].protocol: \"sctp\" is none of tcp, udp"},
		{"{}", "t:1: must be a list"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		auto_object_list struct object_list list = {0};
		auto_config_text struct config_text t = {0};
		struct config_value root;
		struct err err = {0};

		assert_int_equal(config_text_parse("t", cases[i].json, &t, &err), 0);
		root = config_root(&t);
		assert_true(object_list_decode(&root, &list, NULL, &err) < 0);
		assert_string_equal(err.text, cases[i].message);
	}
}

#define AT "\"protocol\":\"tcp\",\"addr\":\"1.1.1.9\",\"port\":53"
#define TO "\"to\":\"1.1.1.1\",\"to-port\":53"

/* How an actual object relates to a wanted one. */
static void test_relations(void **state)
{
	static const struct {
		const char *actual, *wanted;
		bool same, satisfies, updatable;
	} cases[] = {
		{"\"link\",\"name\":\"a\",\"kind\":\"bridge\",\"mtu\":1500,\"up\":true",
		 "\"link\",\"name\":\"a\",\"kind\":\"bridge\",\"up\":true", true, true, true},
		{"\"link\",\"name\":\"a\",\"kind\":\"bridge\",\"mtu\":1500",
		 "\"link\",\"name\":\"a\",\"kind\":\"bridge\",\"mtu\":1400", true, false, true},
		{"\"link\",\"name\":\"a\",\"kind\":\"vxlan\",\"vni\":1",
		 "\"link\",\"name\":\"a\",\"kind\":\"vxlan\",\"vni\":2", true, false, false},
		{"\"link\",\"name\":\"a\",\"kind\":\"wireguard\",\"up\":true",
		 "\"link\",\"name\":\"a\",\"kind\":\"wireguard\"", true, false, true},
		{"\"link\",\"name\":\"a\",\"kind\":\"bridge\",\"up\":true",
		 "\"link\",\"name\":\"a\"", true, true, true},
		{"\"link\",\"name\":\"a\"", "\"link\",\"name\":\"a\",\"up\":true", true, false,
		 true},
		{"\"link\",\"name\":\"a\"", "\"link\",\"name\":\"b\"", false, false, false},
		{"\"link\",\"name\":\"a\"", "\"rule\",\"pref\":1", false, false, false},
		{"\"route\",\"table\":1,\"dst\":\"10.0.0.0/8\",\"via\":\"1.1.1.1\"",
		 "\"route\",\"table\":1,\"dst\":\"10.0.0.0/8\",\"type\":\"unreachable\"", true,
		 false, true},
		{"\"route\",\"table\":1,\"dst\":\"10.0.0.0/8\",\"metric\":1",
		 "\"route\",\"table\":1,\"dst\":\"10.0.0.0/8\"", false, false, false},
		{"\"route\",\"table\":1,\"dst\":\"10.0.0.0/8\",\"src\":\"10.0.0.1\"",
		 "\"route\",\"table\":1,\"dst\":\"10.0.0.0/8\"", true, true, true},
		{"\"rule\",\"pref\":1,\"table\":5", "\"rule\",\"pref\":1,\"table\":6", true, false,
		 false},
		{"\"rule\",\"pref\":1,\"table\":5",
		 "\"rule\",\"pref\":1,\"table\":5,\"from\":\"0.0.0.0/0\"", true, true, true},
		{"\"rule\",\"pref\":1,\"table\":5",
		 "\"rule\",\"pref\":1,\"table\":5,\"from\":\"::/0\"", false, false, false},
		{"\"ipvs-service\"," AT ",\"scheduler\":\"rr\"",
		 "\"ipvs-service\"," AT ",\"scheduler\":\"wlc\"", true, false, true},
		{"\"ipvs-service\"," AT,
		 "\"ipvs-service\",\"protocol\":\"udp\",\"addr\":\"1.1.1.9\",\"port\":53", false,
		 false, false},
		{"\"ipvs-destination\"," AT "," TO ",\"weight\":1",
		 "\"ipvs-destination\"," AT "," TO ",\"weight\":0", true, false, true},
		{"\"ipvs-destination\"," AT "," TO ",\"forwarding\":3",
		 "\"ipvs-destination\"," AT "," TO, true, false, true},
		{"\"ipvs-destination\"," AT "," TO,
		 "\"ipvs-destination\"," AT ",\"to\":\"1.1.1.1\",\"to-port\":54", false, false,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		auto_object_list struct object_list l = {0};
		auto_strbuf struct strbuf json = {0};

		strbuf_add(&json, "[{\"object\":%s},{\"object\":%s}]", cases[i].actual,
			   cases[i].wanted);
		objects_parse(strbuf_text(&json), &l);
		assert_int_equal(object_same(&l.items[0], &l.items[1]), cases[i].same);
		assert_int_equal(object_satisfies(&l.items[0], &l.items[1]), cases[i].satisfies);
		assert_int_equal(object_updatable(&l.items[0], &l.items[1]), cases[i].updatable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_relations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Against the kernel, in a network namespace of its own; skipped where one cannot be made. */
#include "objects.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "net.h"
#include "plan.h"

#define WANTED_BASE                                                                                     \
	"{\"object\":\"link\",\"name\":\"br\",\"kind\":\"bridge\",\"mtu\":1400,\"up\":true,"            \
	"\"mac\":\"02:bb:00:00:00:01\",\"alias\":\"byway test\"},"                                      \
	"{\"object\":\"link\",\"name\":\"x\",\"kind\":\"macvlan\",\"parent\":\"br\",\"up\":true,"       \
	"\"mac\":\"02:bb:0a:00:00:02\",\"alias\":\"byway test\"},"                                      \
	"{\"object\":\"address\",\"dev\":\"br\",\"prefix\":\"10.1.0.1/24\"},"                           \
	"{\"object\":\"address\",\"dev\":\"x\",\"prefix\":\"fd00::1/64\"},"                             \
	"{\"object\":\"route\",\"table\":9,\"dst\":\"0.0.0.0/0\",\"via\":\"10.1.0.9\",\"dev\":\"br\"}," \
	"{\"object\":\"route\",\"table\":9,\"dst\":\"0.0.0.0/0\",\"metric\":4096,"                      \
	"\"type\":\"unreachable\"},"                                                                    \
	"{\"object\":\"route\",\"table\":9,\"dst\":\"10.9.9.9\",\"via\":\"10.9.9.9\",\"dev\":\"x\","    \
	"\"onlink\":true},"                                                                             \
	"{\"object\":\"route\",\"table\":10,\"dst\":\"0.0.0.0/0\",\"type\":\"local\",\"dev\":\"lo\"},"  \
	"{\"object\":\"route\",\"table\":254,\"dst\":\"2000::/3\",\"metric\":4096,"                     \
	"\"type\":\"unreachable\"},"                                                                    \
	"{\"object\":\"rule\",\"pref\":110,\"fwmark\":1,\"table\":10},"                                 \
	"{\"object\":\"rule\",\"pref\":111,\"iif\":\"x\",\"from\":\"10.1.0.0/24\",\"table\":9},"        \
	"{\"object\":\"rule\",\"pref\":112,\"from\":\"::/0\",\"oif\":\"x\",\"table\":9}"

#define WANTED_VXLAN(vni)                                                                     \
	"{\"object\":\"link\",\"name\":\"vx\",\"kind\":\"vxlan\",\"vni\":" vni                \
	",\"port\":14789,\"local\":\"127.0.0.1\",\"mtu\":1400,\"master\":\"br\",\"up\":true," \
	"\"alias\":\"byway test\"},"                                                          \
	"{\"object\":\"fdb\",\"dev\":\"vx\",\"dst\":\"127.0.0.2\"},"                          \
	"{\"object\":\"fdb\",\"dev\":\"vx\",\"dst\":\"127.0.0.3\"}"

static bool have_namespace;

static struct net *open_net(void)
{
	struct err err;
	struct net *net;

	if (!have_namespace)
		skip();
	if (net_open(NULL, &net, &err) < 0)
		fail_msg("%s", err.text);
	return net;
}

/* Observes, and returns the plan towards `json` as text; the caller frees. */
static char *plan_towards(struct net *net, const char *json)
{
	auto_object_list struct object_list wanted = {0}, actual = {0};
	auto_plan struct plan plan = {0};
	struct strbuf b = {0};
	struct err err;

	objects_parse(json, &wanted);
	if (net_observe(net, &wanted, &actual, &err) < 0)
		fail_msg("%s", err.text);
	plan_make(&wanted, &actual, &plan);
	plan_print(&plan, false, &b);
	return strbuf_steal(&b);
}

static void assert_plan(struct net *net, const char *json, const char *expected)
{
	auto_free char *text = plan_towards(net, json);

	assert_string_equal(text, expected);
}

static void reconcile(struct net *net, const char *json)
{
	auto_object_list struct object_list wanted = {0};
	struct err err;

	objects_parse(json, &wanted);
	if (net_reconcile(net, &wanted, NULL, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

/* Starts from nothing of ours. */
static void clear(struct net *net)
{
	reconcile(net, "[]");
	assert_plan(net, "[]", "");
}

static unsigned int index_of(const char *name)
{
	unsigned int index = if_nametoindex(name);

	assert_int_not_equal(index, 0);
	return index;
}

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void test_idempotent(void **state)
{
	auto_net struct net *net = open_net();
	const char *json = "[" WANTED_BASE "," WANTED_VXLAN("7") "]";
	unsigned int br, vx;

	(void)state;
	clear(net);
	reconcile(net, json);
	assert_plan(net, json, "");
	br = index_of("br");
	vx = index_of("vx");
	reconcile(net, json);
	assert_plan(net, json, "");
	assert_int_equal(index_of("br"), br);
	assert_int_equal(index_of("vx"), vx);
}

static void test_drift_is_repaired(void **state)
{
	auto_net struct net *net = open_net();
	const char *json = "[" WANTED_BASE "," WANTED_VXLAN("7") "]";

	(void)state;
	clear(net);
	reconcile(net, json);
	shell("ip link set vx nomaster mtu 1300; ip route del table 9 default via 10.1.0.9;"
	      "ip rule del pref 110; bridge fdb del 00:00:00:00:00:00 dst 127.0.0.3 dev vx;"
	      "ip route add table 9 10.8.0.0/16 dev br proto 187");
	assert_plan(net, json,
		    "delete route table 9 dst 10.8.0.0/16 dev br\n"
		    "create route table 9 dst 0.0.0.0/0 via 10.1.0.9 dev br\n"
		    "create rule pref 110 fwmark 1 table 10\n"
		    "update link vx kind vxlan mtu 1400 up master br vni 7 port 14789 local "
		    "127.0.0.1 alias \"byway test\"\n"
		    "create fdb 00:00:00:00:00:00 dst 127.0.0.3 dev vx\n");
	reconcile(net, json);
	assert_plan(net, json, "");
}

static void test_replacement(void **state)
{
	auto_net struct net *net = open_net();
	const char *before = "[" WANTED_BASE "," WANTED_VXLAN("7") "]";
	const char *after = "[" WANTED_BASE "," WANTED_VXLAN("8") "]";
	unsigned int br, vx;

	(void)state;
	clear(net);
	reconcile(net, before);
	br = index_of("br");
	vx = index_of("vx");
	reconcile(net, after);
	assert_plan(net, after, "");
	assert_int_equal(index_of("br"), br);
	assert_int_not_equal(index_of("vx"), vx);
}

/* The bridge has to be made anew: its macvlan, its addresses and routes fall with it, and vx
 * leaves. */
static void test_dependents(void **state)
{
	auto_net struct net *net = open_net();
	const char *json = "[" WANTED_BASE "," WANTED_VXLAN("7") "]";

	(void)state;
	clear(net);
	reconcile(net,
		  "[{\"object\":\"link\",\"name\":\"br\",\"kind\":\"vxlan\",\"vni\":1,"
		  "\"port\":14790,\"alias\":\"byway test\",\"up\":true},"
		  "{\"object\":\"address\",\"dev\":\"br\",\"prefix\":\"10.1.0.1/24\"},"
		  "{\"object\":\"route\",\"table\":9,\"dst\":\"0.0.0.0/0\",\"via\":\"10.1.0.9\","
		  "\"dev\":\"br\"}]");
	reconcile(net, json);
	assert_plan(net, json, "");
}

static void test_foreign_is_left_alone(void **state)
{
	auto_net struct net *net = open_net();
	auto_free char *plan = NULL;
	const char *json =
		"[{\"object\":\"link\",\"name\":\"theirs\",\"kind\":\"bridge\",\"mtu\":1400,"
		"\"alias\":\"byway test\"},"
		"{\"object\":\"address\",\"dev\":\"theirs\",\"prefix\":\"10.4.0.1/24\"},"
		"{\"object\":\"route\",\"table\":9,\"dst\":\"10.7.0.0/16\",\"dev\":\"lo\"},"
		"{\"object\":\"rule\",\"pref\":500,\"table\":9}]";

	(void)state;
	clear(net);
	shell("ip link add theirs type bridge; ip link set theirs mtu 1450 up;"
	      "ip addr add 10.6.0.1/24 dev theirs; ip route add table 9 unreachable 10.7.0.0/16;"
	      "ip route add table 9 10.5.0.0/16 dev theirs; ip rule add pref 500 lookup 77;"
	      "ip rule add pref 501 lookup 78");
	plan = plan_towards(net, json);
	assert_non_null(strstr(plan, "foreign link theirs kind bridge"));
	assert_non_null(strstr(plan, "foreign route table 9 dst 10.7.0.0/16 type unreachable\n"));
	assert_non_null(strstr(plan, "foreign rule pref 500 table 77\n"));
	reconcile(net, json);
	clear(net);
	shell("ip link show theirs | grep -q 'mtu 1450' && ip addr show theirs | grep -q 10.6.0.1 &&"
	      "! ip addr show theirs | grep -q 10.4.0.1 &&"
	      "ip route show table 9 | grep -q 10.5.0.0 && ip rule | grep -q '^500:.*lookup 77' &&"
	      "ip rule | grep -q ^501: && ip route show table 9 | grep -q 'unreachable 10.7.0.0'");
	shell("ip link del theirs; ip route flush table 9; ip rule del pref 500;"
	      "ip rule del pref 501");
}

/* An address that keepalived or another puts on a link of ours is not taken away. */
static void test_foreign_address_on_our_link(void **state)
{
	auto_net struct net *net = open_net();
	const char *json = "[" WANTED_BASE "]";

	(void)state;
	clear(net);
	reconcile(net, json);
	shell("ip addr add 10.1.0.240/32 dev x");
	assert_plan(net, json, "");
	clear(net);
}

struct failures {
	struct strbuf text;
};

static void note_failure(const struct plan_step *step, const struct err *err, void *data)
{
	struct failures *f = data;

	(void)step;
	strbuf_add(&f->text, "%s\n", err->text);
}

/* What stands on a link that cannot be made is silent; the rest is done. */
static void test_failure_is_told_once(void **state)
{
	auto_net struct net *net = open_net();
	auto_object_list struct object_list wanted = {0};
	struct failures f = {0};
	struct err err;

	(void)state;
	clear(net);
	objects_parse(
		"[{\"object\":\"link\",\"name\":\"m\",\"kind\":\"macvlan\",\"parent\":\"none\","
		"\"alias\":\"byway test\",\"up\":true},"
		"{\"object\":\"address\",\"dev\":\"m\",\"prefix\":\"10.2.0.1/24\"},"
		"{\"object\":\"route\",\"table\":9,\"dst\":\"10.3.0.0/16\",\"dev\":\"m\"},"
		"{\"object\":\"route\",\"table\":9,\"dst\":\"10.3.0.0/16\",\"via\":\"10.99.0.1\","
		"\"metric\":1},"
		"{\"object\":\"rule\",\"pref\":120,\"table\":9}]",
		&wanted);
	assert_int_equal(net_reconcile(net, &wanted, NULL, note_failure, &f, &err), -ENODEV);
	assert_string_equal(
		strbuf_text(&f.text),
		"link m kind macvlan up parent none alias \"byway test\": interface none: "
		"No such device\n"
		"route table 9 dst 10.3.0.0/16 metric 1 via 10.99.0.1: Network is "
		"unreachable (kernel: Nexthop has invalid gateway)\n");
	strbuf_free(&f.text);
	shell("ip rule | grep -q ^120:");
	clear(net);
}

/* From memory: up, routes; down, and they are gone without a step; up again, and they are back. */
static void test_update_from_memory(void **state)
{
	auto_net struct net *net = open_net();
	auto_object_list struct object_list up = {0}, down = {0}, actual = {0};
	const char *both =
		"[{\"object\":\"link\",\"name\":\"b\",\"kind\":\"bridge\",\"up\":true,"
		"\"alias\":\"byway test\"},"
		"{\"object\":\"route\",\"table\":9,\"dst\":\"10.3.0.0/16\",\"dev\":\"b\"}]";
	struct err err = {0};

	(void)state;
	clear(net);
	objects_parse(both, &up);
	objects_parse(
		"[{\"object\":\"link\",\"name\":\"b\",\"kind\":\"bridge\",\"alias\":\"byway test\"}]",
		&down);
	assert_int_equal(net_reconcile(net, &up, &actual, NULL, NULL, &err), 0);
	assert_int_equal(net_update(net, &down, &actual, NULL, NULL, &err), 0);
	shell("! ip route show table 9 | grep -q 10.3.0.0");
	assert_int_equal(net_update(net, &up, &actual, NULL, NULL, &err), 0);
	assert_plan(net, both, "");
	assert_int_equal(actual.n, 2);
	clear(net);
}

/* More than one batch, both ways. */
static void test_many_routes(void **state)
{
	auto_net struct net *net = open_net();
	auto_object_list struct object_list wanted = {0}, actual = {0};
	auto_plan struct plan plan = {0};
	struct err err = {0};

	(void)state;
	clear(net);
	for (unsigned int i = 0; i < 1000; i++) {
		struct object *o = object_list_add(&wanted, OBJECT_ROUTE);

		o->route.table = 9;
		o->route.type = ROUTE_UNREACHABLE;
		o->route.dst = (struct prefix){{AF_INET, {10, i >> 8, i & 255, 0}}, 24};
	}
	if (net_reconcile(net, &wanted, &actual, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(actual.n, 1000);
	plan_make(&wanted, &actual, &plan);
	assert_true(plan_empty(&plan));
	clear(net);
}

static void test_vxlan_number_taken(void **state)
{
	auto_net struct net *net = open_net();
	auto_object_list struct object_list wanted = {0};
	struct err err = {0};

	(void)state;
	clear(net);
	shell("ip link add other type vxlan id 7 dstport 14789 local 127.0.0.1");
	objects_parse("[" WANTED_VXLAN("7") "]", &wanted);
	assert_int_equal(net_reconcile(net, &wanted, NULL, NULL, NULL, &err), -EEXIST);
	assert_non_null(strstr(err.text, "VXLAN device with the specified VNI already exists"));
	shell("ip link del other");
}

/* Warm: configured, down. Active: up, with its route. */
static void test_wireguard(void **state)
{
	auto_net struct net *net = NULL;
	auto_object_list struct object_list warm = {0}, active = {0}, actual = {0};
	struct link_object link;
	struct err err;

	(void)state;
	if (!have_namespace ||
	    system("ip link add wg type wireguard 2>/dev/null && ip link del wg") != 0)
		skip(); /* before anything is allocated: it does not come back */
	net = open_net();
	clear(net);
	objects_parse("[{\"object\":\"link\",\"name\":\"wg\",\"kind\":\"wireguard\",\"mtu\":1380,"
		      "\"alias\":\"byway test\"}]",
		      &warm);
	objects_parse("[{\"object\":\"link\",\"name\":\"wg\",\"kind\":\"wireguard\",\"mtu\":1380,"
		      "\"alias\":\"byway test\",\"up\":true},"
		      "{\"object\":\"route\",\"table\":9,\"dst\":\"0.0.0.0/0\",\"dev\":\"wg\"}]",
		      &active);
	assert_int_equal(net_reconcile(net, &warm, &actual, NULL, NULL, &err), 0);
	assert_int_equal(net_link_get(net, "wg", &link, &err), 0);
	assert_int_equal(link.kind, LINK_WIREGUARD);
	assert_int_equal(link.mtu, 1380);
	assert_false(link.up);
	assert_int_equal(net_update(net, &active, &actual, NULL, NULL, &err), 0);
	shell("ip route show table 9 | grep -q 'default dev wg'");
	assert_int_equal(net_update(net, &warm, &actual, NULL, NULL, &err), 0);
	shell("! ip route show table 9 | grep -q 'default dev wg'");
	assert_int_equal(actual.n, 1);
	clear(net);
}

static void test_links_and_addresses(void **state)
{
	auto_net struct net *net = open_net();
	auto_free struct prefix *addresses = NULL;
	struct link_object link;
	struct err err;
	size_t n;

	(void)state;
	clear(net);
	reconcile(net, "[" WANTED_BASE "]");
	assert_int_equal(net_link_get(net, "x", &link, &err), 0);
	assert_string_equal(link.parent, "br");
	assert_int_equal(link.mtu, 1400);
	assert_true(link.up);
	assert_int_equal(net_link_get(net, "nosuch", &link, &err), -ENODEV);
	assert_string_equal(err.text, "interface nosuch: No such device");
	assert_int_equal(net_link_addresses(net, "lo", &addresses, &n, &err), 0);
	assert_int_equal(addresses[0].len, 8);
	clear(net);
}

static void test_sysctl(void **state)
{
	auto_net struct net *net = open_net();
	struct err err;

	(void)state;
	assert_int_equal(net_sysctl(net, "net.ipv4.ip_forward", "1", &err), 0);
	assert_int_equal(net_sysctl(net, "net/ipv4/conf/lo/rp_filter", "0", &err), 0);
	assert_int_equal(net_sysctl(net, "net.ipv4.nosuch", "1", &err), -ENOENT);
	assert_string_equal(err.text, "sysctl net.ipv4.nosuch = 1: No such file or directory");
}

static void test_nft(void **state)
{
	auto_net struct net *net = open_net();
	struct err err = {0};

	(void)state;
	if (net_nft(net, "add table ip t\nadd set ip t s { type ipv4_addr; }", &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(net_nft(net, "add element ip t s { 10.0.0.1 }", &err), 0);
	assert_true(net_nft(net, "add element ip t s { 10.0.0.2 }\nadd rule ip t none drop", &err) <
		    0);
	assert_non_null(strstr(err.text, "nftables: Error: Could not process rule: No such file"));
	assert_null(strchr(err.text, '\n'));
	/* All or nothing. */
	assert_true(net_nft(net, "delete element ip t s { 10.0.0.2 }", &err) < 0);
	assert_int_equal(net_nft(net, "delete table ip t", &err), 0);
}

/* A VXLAN device made through an opened namespace lives there, and its socket here. */
static void test_other_namespace(void **state)
{
	static const char path[] = "/run/netns/byway-unit";
	auto_net struct net *here = open_net(), *there = NULL;
	struct err err = {0};
	struct stat before, after;
	struct link_object link;

	(void)state;
	if (netns_ensure(path, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(netns_ensure(path, &err), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	if (net_open(path, &there, &err) < 0)
		fail_msg("%s", err.text);
	reconcile(there, "[{\"object\":\"link\",\"name\":\"br\",\"kind\":\"bridge\",\"mtu\":1400,"
			 "\"up\":true,\"alias\":\"byway test\"}," WANTED_VXLAN("7") "]");
	assert_int_equal(net_link_get(here, "vx", &link, &err), -ENODEV);
	assert_int_equal(net_link_get(there, "vx", &link, &err), 0);
	shell("ss -Huln | grep -q :14789");
	shell("! ip netns exec byway-unit ss -Huln | grep -q :14789");
	clear(there);
}

/* Mounts and namespaces of this process alone: nothing is left behind. */
static int enter_namespaces(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
		print_message("skipped: a network namespace needs root (%s)\n", strerror(errno));
		return 0;
	}
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || system("ip link set lo up") != 0)
		return -1;
	have_namespace = true;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idempotent),
		cmocka_unit_test(test_drift_is_repaired),
		cmocka_unit_test(test_replacement),
		cmocka_unit_test(test_dependents),
		cmocka_unit_test(test_foreign_is_left_alone),
		cmocka_unit_test(test_foreign_address_on_our_link),
		cmocka_unit_test(test_failure_is_told_once),
		cmocka_unit_test(test_update_from_memory),
		cmocka_unit_test(test_many_routes),
		cmocka_unit_test(test_vxlan_number_taken),
		cmocka_unit_test(test_wireguard),
		cmocka_unit_test(test_links_and_addresses),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_nft),
		cmocka_unit_test(test_other_namespace),
	};

	return cmocka_run_group_tests(tests, enter_namespaces, NULL);
}

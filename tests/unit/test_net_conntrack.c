/* Against the kernel, in a network namespace of its own; skipped where one cannot be made, or there is no
 * ctnetlink or no table in /proc. */
#include "test.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "conntrack.h"
#include "mem.h"

#define MANY 1000

static struct net *net;

/* A client's connection to 10.52.0.248:5000, answered by 10.50.0.10:8000. */
static struct conntrack_flow flow_of(unsigned int i)
{
	return (struct conntrack_flow){
		.protocol = i % 2 ? IPPROTO_UDP : IPPROTO_TCP,
		.client = {{AF_INET, {203, 0, 113, 1}}, (uint16_t)(1024 + i)},
		.service = {{AF_INET, {10, 52, 0, 248}}, 5000},
		.server = {{AF_INET, {10, 50, 0, 10}}, 8000},
		.mark = 248,
		.timeout = 300,
	};
}

/* How many entries match. */
static int count(const char *pattern)
{
	auto_free char *command = xasprintf(
		"sed 's/^ipv4 *2 //' /proc/thread-self/net/nf_conntrack | grep -cE '%s'", pattern);
	FILE *f = popen(command, "re");
	int n = -1;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static void ensure(const struct conntrack_flow *flows, size_t n)
{
	struct err err = {0};
	size_t refused;

	if (net_conntrack_ensure(net, flows, n, &refused, &err) < 0 || refused)
		fail_msg("%zu refused: %s", refused, err.text);
}

/* More than a batch, and not a multiple of one. */
static void test_many(void **state)
{
	auto_free struct conntrack_flow *flows = xcalloc(MANY, sizeof(*flows));
	struct err err = {0};

	(void)state;
	if (!net)
		skip();
	for (unsigned int i = 0; i < MANY; i++)
		flows[i] = flow_of(i);
	ensure(flows, MANY);
	assert_int_equal(count("^tcp +6 (300|299|298) ESTABLISHED src=203.0.113.1 dst=10.52.0.248 "
			       "sport=[0-9]+ dport=5000 src=10.50.0.10 dst=203.0.113.1 sport=8000 "
			       "dport=[0-9]+ .*ASSURED.* mark=248 "),
			 MANY / 2);
	assert_int_equal(count("^udp .* src=10.50.0.10 .*ASSURED.* mark=248 "), MANY / 2);
	assert_int_equal(net_conntrack_forget(net, 248, &err), 0);
	assert_int_equal(count("."), 0);
}

static void test_again(void **state)
{
	struct conntrack_flow flow = flow_of(0);
	struct err err = {0};

	(void)state;
	if (!net)
		skip();
	ensure(&flow, 1);
	flow.mark = 249;
	flow.timeout = 5000;
	ensure(&flow, 1);
	assert_int_equal(count("^tcp +6 (5000|499.) ESTABLISHED .* mark=249 "), 1);
	assert_int_equal(count("."), 1);
	assert_int_equal(net_conntrack_forget(net, 249, &err), 0);
}

/* Another flow's reply tuple; one of no protocol that there is. The rest goes in. */
static void test_refused(void **state)
{
	struct conntrack_flow flows[] = {flow_of(0), flow_of(0), flow_of(2), flow_of(4)};
	struct err err = {0};
	size_t refused = 0;

	(void)state;
	if (!net)
		skip();
	flows[1].service.port = 5001;
	flows[2].client.addr.family = AF_INET6;
	assert_int_equal(net_conntrack_ensure(net, flows, array_len(flows), &refused, &err), 0);
	assert_int_equal(refused, 2);
	assert_string_equal(err.text, "conntrack: File exists");
	assert_int_equal(count("^tcp "), 2);
	assert_int_equal(net_conntrack_forget(net, 248, &err), 0);
}

static int enter_namespace(void **state)
{
	struct err err;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0 || net_open(NULL, &net, &err) < 0 ||
	    net_conntrack_forget(net, 1, &err) < 0 ||
	    access("/proc/thread-self/net/nf_conntrack", R_OK) < 0) {
		print_message("skipped: no namespace with conntrack (%s)\n", strerror(errno));
		net = NULL;
	}
	return 0;
}

static int leave_namespace(void **state)
{
	(void)state;
	if (net)
		net_close(net);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}

/* The lease table: who gets which address, and that no process, however it dies, breaks it. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "lease.h"

static char dir[] = "/tmp/byway-lease-XXXXXX";

static struct lease_range range(const char *role, const char *text)
{
	struct lease_range r = {0};

	snprintf(r.role, sizeof(r.role), "%s", role);
	assert_int_equal(addr_range_parse(text, &r.range), 0);
	return r;
}

static void ensure(const char *network, const struct lease_range *ranges, size_t n)
{
	struct err err = {0};

	if (lease_ensure(dir, network, ranges, n, &err) < 0)
		fail_msg("%s", err.text);
}

static void ensure_one(const char *network, const char *role, const char *text)
{
	struct lease_range r = range(role, text);

	ensure(network, &r, 1);
}

/* The result of lease_take() and the address as text. */
static int take(const char *network, const char *role, const char *cid, const char *pod,
		const char *wanted, int64_t now, char text[static ADDR_STRLEN], struct err *err)
{
	auto_lease_table struct lease_table *t = NULL;
	struct addr addr = {0}, requested = {0};
	int r;

	if (wanted)
		assert_int_equal(addr_parse(wanted, &requested), 0);
	assert_int_equal(lease_open(dir, network, &t, err), 0);
	r = lease_take(t, role, cid, "net1", pod, wanted ? &requested : NULL, now, &addr, err);
	addr_format(&addr, text);
	return r;
}

static void assert_taken(const char *network, const char *role, const char *cid, const char *pod,
			 int64_t now, const char *expected)
{
	struct err err = {0};
	char text[ADDR_STRLEN];

	if (take(network, role, cid, pod, NULL, now, text, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(text, expected);
}

static void assert_refused(const char *network, const char *role, const char *cid,
			   const char *wanted, int code, const char *text)
{
	struct err err = {0};
	char none[ADDR_STRLEN];

	assert_int_equal(take(network, role, cid, "", wanted, 1, none, &err), code);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void release(const char *network, const char *cid, int64_t now)
{
	auto_lease_table struct lease_table *t = NULL;
	struct err err = {0};

	assert_int_equal(lease_open(dir, network, &t, &err), 0);
	assert_int_equal(lease_release(t, cid, "net1", now, &err), 0);
}

struct tally {
	unsigned int n;
	unsigned int pending;
	char last[ADDR_STRLEN];
};

static void count_lease(const struct lease *lease, void *data)
{
	struct tally *tally = data;

	tally->n++;
	tally->pending += lease->state == LEASE_PENDING;
	addr_format(&lease->addr, tally->last);
}

static struct tally tally(const char *network)
{
	auto_lease_table struct lease_table *t = NULL;
	struct tally ret = {0};
	struct err err = {0};

	assert_int_equal(lease_open(dir, network, &t, &err), 0);
	lease_each(t, count_lease, &ret);
	return ret;
}

static void test_missing_table(void **state)
{
	struct lease_table *t = NULL;
	struct err err = {0};

	assert_int_equal(lease_open(dir, "nothing", &t, &err), -ENOENT);
	assert_non_null(strstr(err.text, "nothing"));
	assert_int_equal(lease_open(dir, "../etc", &t, &err), -EINVAL);
	assert_int_equal(lease_open(dir, "", &t, &err), -EINVAL);
}

static void test_damaged_table(void **state)
{
	static const char *const texts[] = {"", "x", "{\"leases\":[]}"};

	for (size_t i = 0; i < array_len(texts); i++) {
		struct lease_table *t = NULL;
		struct err err = {0};
		char path[64];
		FILE *f;

		snprintf(path, sizeof(path), "%s/damaged", dir);
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(texts[i], f);
		fclose(f);
		assert_int_equal(lease_open(dir, "damaged", &t, &err), -EUCLEAN);
	}
}

static void test_round_robin(void **state)
{
	ensure_one("rr", "client", "10.9.0.1-10.9.0.3");
	assert_taken("rr", "client", "a", "", 1000, "10.9.0.1");
	assert_taken("rr", "client", "b", "", 1000, "10.9.0.2");
	release("rr", "a", 1000);
	assert_taken("rr", "client", "c", "", 1001, "10.9.0.3");
	/* 10.9.0.1 has not rested, but there is no other. */
	assert_taken("rr", "client", "d", "", 1002, "10.9.0.1");
	assert_refused("rr", "client", "e", NULL, -ENOSPC, "network rr");
	assert_refused("rr", "client", "e", NULL, -ENOSPC, "3 of 3 in use");
	assert_refused("rr", "router", "e", NULL, -ENOSPC, "no addresses for role router");
}

static void test_cool_down(void **state)
{
	ensure_one("cool", "client", "10.9.0.1-10.9.0.3");
	assert_taken("cool", "client", "a", "", 1000, "10.9.0.1");
	assert_taken("cool", "client", "b", "", 1000, "10.9.0.2");
	assert_taken("cool", "client", "c", "", 1000, "10.9.0.3");
	release("cool", "b", 2000);
	release("cool", "c", 2010);
	release("cool", "a", 2020);
	/* All tired: the longest rest, not the cursor's next. */
	assert_taken("cool", "client", "d", "", 2030, "10.9.0.2");
	/* Rested: the cursor's next. */
	assert_taken("cool", "client", "e", "", 3000, "10.9.0.3");
}

static void test_same_pod_same_address(void **state)
{
	ensure_one("pod", "client", "10.9.0.1-10.9.0.100");
	assert_taken("pod", "client", "a", "uid-1", 1000, "10.9.0.1");
	assert_taken("pod", "client", "b", "uid-2", 1000, "10.9.0.2");
	/* A new sandbox of a pod whose DEL got lost. */
	assert_taken("pod", "client", "c", "uid-1", 1001, "10.9.0.1");
	/* The late DEL of the old one takes nothing away. */
	release("pod", "a", 1002);
	assert_int_equal(tally("pod").n, 2);
	release("pod", "b", 1003);
	assert_taken("pod", "client", "d", "", 1003, "10.9.0.3");
	assert_taken("pod", "client", "e", "uid-2", 1004, "10.9.0.2");
}

static void test_second_take_is_refused(void **state)
{
	ensure_one("twice", "client", "10.9.0.1-10.9.0.9");
	assert_taken("twice", "client", "a", "uid-1", 1000, "10.9.0.1");
	assert_refused("twice", "client", "a", NULL, -EEXIST, "has an address already");
	assert_int_equal(tally("twice").n, 1);
}

static void test_requested(void **state)
{
	struct lease_range ranges[] = {range("client", "10.9.0.1-10.9.0.9"),
				       range("router", "10.9.0.241")};
	struct err err = {0};
	char text[ADDR_STRLEN];

	ensure("wish", ranges, 2);
	assert_int_equal(take("wish", "client", "a", "uid-1", "10.9.0.7", 1, text, &err), 0);
	assert_string_equal(text, "10.9.0.7");
	assert_refused("wish", "client", "b", "10.9.0.7", -EADDRINUSE, "held by container a");
	assert_refused("wish", "client", "b", "10.9.0.241", -ERANGE, "10.9.0.241");
	assert_refused("wish", "client", "b", "10.8.0.1", -ERANGE, "not an address of role client");
	assert_taken("wish", "client", "c", "", 1, "10.9.0.8");
	assert_taken("wish", "router", "c2", "", 1, "10.9.0.241");
	/* The pod's next sandbox may have what the pod holds. */
	assert_int_equal(take("wish", "client", "d", "uid-1", "10.9.0.7", 1, text, &err), 0);
}

static void test_requests_of_one_pod(void **state)
{
	struct err err = {0};
	char text[ADDR_STRLEN];

	ensure_one("moves", "client", "10.9.0.1-10.9.0.9");
	assert_taken("moves", "client", "a", "uid-1", 1000, "10.9.0.1");
	release("moves", "a", 1001);
	assert_int_equal(take("moves", "client", "b", "uid-1", "10.9.0.5", 1002, text, &err), 0);
	/* The DEL of b got lost: what the pod holds goes before what it held. */
	assert_int_equal(take("moves", "client", "c", "uid-1", "10.9.0.5", 1003, text, &err), 0);
	assert_taken("moves", "client", "d", "uid-1", 1004, "10.9.0.5");
	assert_int_equal(tally("moves").n, 1);
	/* Of two that it held, the later. */
	release("moves", "d", 1005);
	assert_taken("moves", "client", "e", "uid-1", 1006, "10.9.0.5");
	/* Another pod, or another interface, has no part in it. */
	assert_refused("moves", "client", "f", "10.9.0.5", -EADDRINUSE, "held by container e");
}

static void test_activate(void **state)
{
	struct lease_table *t = NULL;
	struct err err = {0};

	ensure_one("act", "client", "10.9.0.1-10.9.0.9");
	assert_taken("act", "client", "a", "", 1, "10.9.0.1");
	assert_int_equal(tally("act").pending, 1);
	assert_int_equal(lease_open(dir, "act", &t, &err), 0);
	assert_int_equal(lease_activate(t, "a", "net1", &err), 0);
	assert_int_equal(lease_activate(t, "a", "net1", &err), 0);
	assert_int_equal(lease_activate(t, "b", "net1", &err), -ENOENT);
	/* Given up meanwhile, and somebody else's now: not to be activated for the first. */
	assert_int_equal(lease_release(t, "a", "net1", 2, &err), 0);
	lease_close(t);
	assert_int_equal(
		take("act", "client", "b", "", "10.9.0.1", 3, (char[ADDR_STRLEN]){0}, &err), 0);
	assert_int_equal(lease_open(dir, "act", &t, &err), 0);
	assert_int_equal(lease_activate(t, "a", "net1", &err), -ENOENT);
	lease_close(t);
	assert_int_equal(tally("act").pending, 1);
}

/* A table of the name in another directory is another table: what a reboot leaves is nothing. */
static void test_fresh_directory_is_empty(void **state)
{
	struct lease_range all = range("client", "10.9.0.1-10.9.0.2");
	struct lease_table *t = NULL;
	struct err err = {0};
	struct tally seen = {0};
	char fresh[sizeof(dir) + 16];

	ensure("boot", &all, 1);
	assert_taken("boot", "client", "a", "uid-1", 1, "10.9.0.1");
	snprintf(fresh, sizeof(fresh), "%s/a/b", dir);
	assert_int_equal(lease_open(fresh, "boot", &t, &err), -ENOENT);
	assert_int_equal(lease_ensure(fresh, "boot", &all, 1, &err), 0);
	assert_int_equal(lease_open(fresh, "boot", &t, &err), 0);
	lease_each(t, count_lease, &seen);
	lease_close(t);
	assert_int_equal(seen.n, 0);
	assert_int_equal(tally("boot").n, 1);
}

/* At each age: is the address passed over for one that was never held? */
static void test_cool_down_table(void **state)
{
	static const struct {
		int64_t freed, now;
		const char *expected;
	} rows[] = {
		{1000, 1000, "10.9.0.2"}, {1000, 1001, "10.9.0.2"}, {1000, 1089, "10.9.0.2"},
		{1000, 1090, "10.9.0.1"}, {1000, 5000, "10.9.0.1"}, {0, 89, "10.9.0.2"},
		{0, 91, "10.9.0.1"},
	};

	for (size_t i = 0; i < array_len(rows); i++) {
		char network[16];

		snprintf(network, sizeof(network), "row%zu", i);
		ensure_one(network, "client", "10.9.0.1");
		assert_taken(network, "client", "a", "", 0, "10.9.0.1");
		release(network, "a", rows[i].freed);
		/* Two addresses, the cursor at the first. */
		ensure_one(network, "client", "10.9.0.1-10.9.0.2");
		assert_taken(network, "client", "b", "", rows[i].now, rows[i].expected);
	}
}

static void test_find(void **state)
{
	auto_lease_table struct lease_table *t = NULL;
	struct lease lease = {0};
	struct err err = {0};
	char text[ADDR_STRLEN];

	ensure_one("find", "client", "10.9.0.1-10.9.0.9");
	assert_taken("find", "client", "a", "uid-a", 7, "10.9.0.1");
	assert_taken("find", "client", "b", "", 8, "10.9.0.2");
	assert_int_equal(lease_open(dir, "find", &t, &err), 0);
	assert_int_equal(lease_find(t, "a", "net1", &lease, &err), 0);
	assert_string_equal(addr_format(&lease.addr, text), "10.9.0.1");
	assert_int_equal(lease.state, LEASE_PENDING);
	assert_int_equal(lease.since, 7);
	assert_string_equal(lease.role, "client");
	assert_string_equal(lease.pod_uid, "uid-a");
	assert_int_equal(lease_find(t, "a", "net2", &lease, &err), -ENOENT);
	assert_non_null(strstr(err.text, "network find"));
	assert_int_equal(lease_release(t, "a", "net1", 9, &err), 0);
	assert_int_equal(lease_find(t, "a", "net1", &lease, &err), -ENOENT);
}

static bool older_than(const struct lease *lease, void *data)
{
	return lease->since < *(const int64_t *)data;
}

static void test_collect(void **state)
{
	struct lease_table *t = NULL;
	struct err err = {0};
	int64_t limit = 2000;

	ensure_one("gc", "client", "10.9.0.1-10.9.0.4");
	assert_taken("gc", "client", "a", "", 1000, "10.9.0.1");
	assert_taken("gc", "client", "b", "", 2000, "10.9.0.2");
	assert_taken("gc", "client", "c", "", 1500, "10.9.0.3");
	assert_int_equal(lease_open(dir, "gc", &t, &err), 0);
	assert_int_equal(lease_collect(t, 3000, older_than, &limit), 2);
	assert_int_equal(lease_collect(t, 3000, older_than, &limit), 0);
	lease_close(t);
	assert_int_equal(tally("gc").n, 1);
	assert_string_equal(tally("gc").last, "10.9.0.2");
	/* They rest: the one never held, then those collected, in the cursor's order. */
	assert_taken("gc", "client", "d", "", 3001, "10.9.0.4");
	assert_taken("gc", "client", "e", "", 3002, "10.9.0.1");
}

static void test_two_ranges_one_role(void **state)
{
	struct lease_range ranges[] = {range("client", "10.9.0.1-10.9.0.2"),
				       range("router", "10.9.0.5"),
				       range("client", "10.9.1.0-10.9.1.1")};

	ensure("two", ranges, 3);
	assert_taken("two", "client", "a", "", 1, "10.9.0.1");
	assert_taken("two", "client", "b", "", 1, "10.9.0.2");
	assert_taken("two", "client", "c", "", 1, "10.9.1.0");
	assert_taken("two", "client", "d", "", 1, "10.9.1.1");
	assert_refused("two", "client", "e", NULL, -ENOSPC, "4 of 4");
	assert_taken("two", "router", "f", "", 1, "10.9.0.5");
}

static void test_ensure_keeps_leases(void **state)
{
	struct lease_range ranges[] = {range("router", "10.9.0.100"),
				       range("client", "10.9.0.2-10.9.0.6")};

	ensure_one("grow", "client", "10.9.0.1-10.9.0.3");
	assert_taken("grow", "client", "a", "uid-a", 1, "10.9.0.1");
	assert_taken("grow", "client", "b", "uid-b", 1, "10.9.0.2");
	ensure("grow", ranges, 2);
	/* 10.9.0.1 is held, outside, and never handed out again. */
	assert_int_equal(tally("grow").n, 2);
	assert_string_equal(tally("grow").last, "10.9.0.1");
	assert_taken("grow", "client", "c", "", 2, "10.9.0.3");
	assert_taken("grow", "client", "d", "uid-a", 2, "10.9.0.4");
	assert_refused("grow", "client", "e", "10.9.0.1", -ERANGE, "10.9.0.1");
	assert_refused("grow", "client", "e", "10.9.0.2", -EADDRINUSE, "container b");
	release("grow", "a", 3);
	ensure("grow", ranges, 2);
	assert_int_equal(tally("grow").n, 3);
	/* Back in the ranges: free. */
	ensure_one("grow", "client", "10.9.0.1-10.9.0.6");
	assert_taken("grow", "client", "f", "uid-f", 3, "10.9.0.1");
}

static void test_ensure_refuses(void **state)
{
	struct lease_range overlap[] = {range("client", "10.9.0.1-10.9.0.9"),
					range("router", "10.9.0.9")};
	struct lease_range huge = range("client", "10.0.0.0-10.255.255.255");
	struct err err = {0};

	assert_int_equal(lease_ensure(dir, "bad", overlap, 2, &err), -EINVAL);
	assert_string_equal(err.text, "network bad: ranges 10.9.0.1-10.9.0.9 and 10.9.0.9 overlap");
	assert_int_equal(lease_ensure(dir, "bad", &huge, 1, &err), -E2BIG);
	assert_int_equal(lease_ensure(dir, "../bad", overlap, 1, &err), -EINVAL);
}

/* --- many processes --- */

static void child_take(const char *network, const char *cid)
{
	struct lease_table *t;
	struct err err = {0};
	struct addr addr;

	if (lease_open(dir, network, &t, &err) < 0 ||
	    lease_take(t, "client", cid, "net1", "", NULL, time(NULL), &addr, &err) < 0)
		_exit(1);
	lease_close(t);
	_exit(0);
}

struct seen {
	unsigned int n[256];
	unsigned int total;
};

static void see(const struct lease *lease, void *data)
{
	struct seen *seen = data;

	seen->n[lease->addr.bytes[3]]++;
	seen->total++;
}

static void assert_no_double(const char *network, unsigned int expected)
{
	auto_lease_table struct lease_table *t = NULL;
	struct seen seen = {0};
	struct err err = {0};

	assert_int_equal(lease_open(dir, network, &t, &err), 0);
	lease_each(t, see, &seen);
	for (size_t i = 0; i < array_len(seen.n); i++)
		assert_in_range(seen.n[i], 0, 1);
	assert_int_equal(seen.total, expected);
}

static void test_parallel_takes(void **state)
{
	pid_t pids[60];
	int status;

	ensure_one("many", "client", "10.9.0.1-10.9.0.200");
	for (size_t i = 0; i < array_len(pids); i++) {
		char cid[16];

		snprintf(cid, sizeof(cid), "c%zu", i);
		pids[i] = fork();
		if (!pids[i])
			child_take("many", cid);
	}
	for (size_t i = 0; i < array_len(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_no_double("many", array_len(pids));
}

/* Shared with the children of the next test. */
struct ledger {
	unsigned int takes;
};

/* Takes, releases and changes ranges at random, for ever. */
static void child_churn(struct ledger *ledger, int k)
{
	unsigned int seed = (unsigned int)k * 7919U + (unsigned int)getpid();

	for (;;) {
		struct lease_table *t;
		struct err err = {0};
		struct addr addr;
		char cid[32];

		snprintf(cid, sizeof(cid), "%d-%d", k, rand_r(&seed) % 8);
		if (lease_open(dir, "churn", &t, &err) < 0)
			_exit(1);
		if (rand_r(&seed) % 2) {
			lease_release(t, cid, "net1", 1, &err);
		} else if (lease_take(t, "client", cid, "net1", "", NULL, rand_r(&seed), &addr,
				      &err) == 0) {
			__atomic_add_fetch(&ledger->takes, 1, __ATOMIC_RELAXED);
			lease_activate(t, cid, "net1", &err);
		}
		if (rand_r(&seed) % 64 == 0) {
			struct lease_range r = {.role = "client"};

			lease_close(t);
			addr_range_parse(rand_r(&seed) % 2 ? "10.9.0.1-10.9.0.40"
							   : "10.9.0.10-10.9.0.60",
					 &r.range);
			if (lease_ensure(dir, "churn", &r, 1, &err) < 0)
				_exit(2);
		} else {
			lease_close(t);
		}
	}
}

struct audit {
	unsigned int by_addr[256];
	char owners[256][32];
	unsigned int n, pending;
};

static void audit_lease(const struct lease *lease, void *data)
{
	struct audit *audit = data;

	assert_in_range(lease->addr.bytes[3], 1, 60);
	assert_int_equal(lease->addr.bytes[0], 10);
	assert_string_equal(lease->role, "client");
	assert_string_equal(lease->ifname, "net1");
	assert_int_equal(++audit->by_addr[lease->addr.bytes[3]], 1);
	for (unsigned int i = 0; i < audit->n; i++)
		assert_string_not_equal(audit->owners[i], lease->container_id);
	snprintf(audit->owners[audit->n++], sizeof(audit->owners[0]), "%.31s", lease->container_id);
	audit->pending += lease->state == LEASE_PENDING;
}

/* `kills` processes died so far, and none that lives leaves a lease pending when it gives the lock
 * back. */
static void audit_table(unsigned int kills)
{
	auto_lease_table struct lease_table *t = NULL;
	struct audit audit = {0};
	struct err err = {0};

	if (lease_open(dir, "churn", &t, &err) < 0)
		fail_msg("%s", err.text);
	lease_each(t, audit_lease, &audit);
	assert_in_range(audit.pending, 0, kills);
}

static bool anybody(const struct lease *lease, void *data)
{
	return true;
}

/* No slot got lost: given back what is held, each address can be had once. */
static void audit_capacity(void)
{
	struct lease_table *t = NULL;
	struct err err = {0};

	ensure_one("churn", "client", "10.9.0.1-10.9.0.60");
	assert_int_equal(lease_open(dir, "churn", &t, &err), 0);
	lease_collect(t, 1, anybody, NULL);
	for (unsigned int i = 0; i < 60; i++) {
		char cid[16];
		struct addr addr;

		snprintf(cid, sizeof(cid), "last-%u", i);
		assert_int_equal(lease_take(t, "client", cid, "net1", "", NULL, 2, &addr, &err), 0);
	}
	lease_close(t);
	assert_no_double("churn", 60);
	assert_refused("churn", "client", "one-more", NULL, -ENOSPC, "60 of 60 in use");
}

static pid_t start_churn(struct ledger *ledger, int k)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where an assertion ends the test */
		child_churn(ledger, k);
	}
	return pid;
}

static void test_kill_random_holders(void **state)
{
	struct ledger *ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[6];
	int status;

	assert_ptr_not_equal(ledger, MAP_FAILED);
	ensure_one("churn", "client", "10.9.0.1-10.9.0.40");
	for (int k = 0; k < (int)array_len(pids); k++)
		pids[k] = start_churn(ledger, k);
	for (unsigned int round = 0; round < 300; round++) {
		int k = (int)(round % array_len(pids));

		usleep(500 + round * 37 % 2000);
		kill(pids[k], SIGKILL);
		assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
		assert_true(WIFSIGNALED(status)); /* not one of its own exits */
		audit_table(round + 1);
		pids[k] = start_churn(ledger, k);
	}
	for (size_t k = 0; k < array_len(pids); k++) {
		kill(pids[k], SIGKILL);
		waitpid(pids[k], &status, 0);
	}
	assert_true(ledger->takes > 1000);
	audit_table(300 + array_len(pids));
	audit_capacity();
	munmap(ledger, sizeof(*ledger));
}

/* --- killed at each instruction --- */

/* Two pods whose leases follow each other on one slot. All of one's words differ from the other's. */
static const struct {
	const char *container_id, *pod_uid;
} owners[] = {
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "uid-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	{"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "uid-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
	{"cccccccccccccccccccccccccccccccccccccccc", "uid-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
};

/* The life of one address: a's, given back, b's, and without a DEL that of b's next sandbox. */
static void child_one_address(void)
{
	struct lease_table *t;
	struct err err = {0};
	struct addr addr;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(0);
	raise(SIGSTOP);
	if (lease_open(dir, "step", &t, &err) < 0)
		_exit(1);
	for (size_t i = 0; i < array_len(owners); i++) {
		if (lease_take(t, "client", owners[i].container_id, "net1", owners[i].pod_uid, NULL,
			       (int64_t)(1000 + i), &addr, &err) < 0 ||
		    lease_activate(t, owners[i].container_id, "net1", &err) < 0)
			_exit(2);
		if (i != 1 && lease_release(t, owners[i].container_id, "net1", 1000, &err) < 0)
			_exit(3);
	}
	_exit(0);
}

/* Is it one of those, whole? */
static void check_whole(const struct lease *lease, void *data)
{
	unsigned int *held = data;
	char text[ADDR_STRLEN];

	*held += 1;
	assert_string_equal(addr_format(&lease->addr, text), "10.9.0.1");
	assert_string_equal(lease->role, "client");
	assert_string_equal(lease->ifname, "net1");
	for (size_t i = 0; i < array_len(owners); i++) {
		if (!strcmp(lease->container_id, owners[i].container_id)) {
			assert_string_equal(lease->pod_uid, owners[i].pod_uid);
			assert_int_equal(lease->since, 1000 + (int64_t)i);
			return;
		}
	}
	fail_msg("\"%s\" holds it", lease->container_id);
}

static void write_file(const char *path, const char *bytes, size_t size)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

/* What the others find where the process dies now: no half of a lease, and the address is either
 * somebody's or can be had. */
static void check_if_killed_now(const char *table, size_t size)
{
	struct lease_table *t = NULL;
	struct err err = {0};
	struct addr addr;
	unsigned int held = 0;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "%s/snapshot", dir);
	write_file(path, table, size);
	assert_int_equal(lease_open(dir, "snapshot", &t, &err), 0);
	lease_each(t, check_whole, &held);
	r = lease_take(t, "client", "d", "net1", "uid-d", NULL, 5000, &addr, &err);
	lease_close(t);
	assert_in_range(held, 0, 1);
	assert_int_equal(r, held ? -ENOSPC : 0);
}

static const char *map_table(const char *network, size_t *size)
{
	auto_close int fd = -1;
	struct stat st;
	char path[64];
	void *map;

	snprintf(path, sizeof(path), "%s/%s", dir, network);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	map = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

/* A process is led through its changes instruction by instruction, and whenever the table has
 * changed it is looked at as if the process had been killed there. */
static void test_kill_at_each_instruction(void **state)
{
	unsigned int changes = 0;
	auto_free char *before = NULL;
	const char *table;
	int status;
	size_t size;
	pid_t pid;

	ensure_one("step", "client", "10.9.0.1");
	table = map_table("step", &size);
	before = calloc(1, size);
	pid = fork();
	if (!pid)
		child_one_address();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		skip(); /* nobody may be traced here */
	while (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status)) {
		if (!memcmp(before, table, size))
			continue;
		memcpy(before, table, size);
		check_if_killed_now(before, size);
		changes++;
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(changes > 30);
	munmap((void *)table, size);
}

/* 10,000 leases: a walk over the index, not over the records, and nothing quadratic. */
static void test_cost_is_flat(void **state)
{
	auto_lease_table struct lease_table *t = NULL;
	struct timespec begin, end;
	struct err err = {0};
	struct addr addr;

	ensure_one("large", "client", "10.1.0.0-10.1.255.255");
	assert_int_equal(lease_open(dir, "large", &t, &err), 0);
	for (int i = 0; i < 10000; i++) {
		char cid[16];

		snprintf(cid, sizeof(cid), "c%d", i);
		assert_int_equal(lease_take(t, "client", cid, "net1", cid, NULL, 1, &addr, &err),
				 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 100; i++) {
		char cid[16];

		snprintf(cid, sizeof(cid), "d%d", i);
		assert_int_equal(lease_take(t, "client", cid, "net1", cid, NULL, 1, &addr, &err),
				 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* About 0.1 ms each; a sanitizer and a loaded machine have their due. */
	assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 <
		    2000);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	auto_free char *command = NULL;

	return asprintf(&command, "rm -rf %s", dir) < 0 || system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_table),
		cmocka_unit_test(test_damaged_table),
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_cool_down),
		cmocka_unit_test(test_same_pod_same_address),
		cmocka_unit_test(test_second_take_is_refused),
		cmocka_unit_test(test_requested),
		cmocka_unit_test(test_activate),
		cmocka_unit_test(test_requests_of_one_pod),
		cmocka_unit_test(test_fresh_directory_is_empty),
		cmocka_unit_test(test_cool_down_table),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_collect),
		cmocka_unit_test(test_two_ranges_one_role),
		cmocka_unit_test(test_ensure_keeps_leases),
		cmocka_unit_test(test_ensure_refuses),
		cmocka_unit_test(test_parallel_takes),
		cmocka_unit_test(test_kill_random_holders),
		cmocka_unit_test(test_kill_at_each_instruction),
		cmocka_unit_test(test_cost_is_flat),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

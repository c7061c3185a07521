#include "test.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

/* A loop that ends after `enough` ends of the child, or after ten seconds. */
struct run {
	struct event_base *base;
	struct child *child;
	int enough, ended, status, prepared;
	unsigned int retry_ms[8];
	bool stopped;
};

static void on_ended(struct child *child, int status, unsigned int retry_ms, void *data)
{
	struct run *run = data;

	run->status = status;
	run->retry_ms[run->ended++] = retry_ms;
	if (run->ended == run->enough)
		event_base_loopbreak(run->base);
}

static void on_prepare(void *data)
{
	((struct run *)data)->prepared++;
}

static void on_stopped(void *data)
{
	struct run *run = data;

	run->stopped = true;
	event_base_loopbreak(run->base);
}

static void start(struct run *run, const char *script)
{
	const char *const argv[] = {"sh", "-c", script, "byway-test-child", NULL};
	const struct child_spec spec = {"sh", argv, on_ended, on_prepare, run};
	struct err err;

	run->base = event_base_new();
	assert_non_null(run->base);
	assert_int_equal(child_start(run->base, &spec, &run->child, &err), 0);
}

static void loop(struct run *run)
{
	const struct timeval limit = {.tv_sec = 10};

	event_base_loopexit(run->base, &limit);
	event_base_dispatch(run->base);
}

static void finish(struct run *run)
{
	child_free(run->child);
	event_base_free(run->base);
	/* Nothing is left to be reaped. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_started_again_with_backoff(void **state)
{
	struct run run = {.enough = 3};

	start(&run, "exit 3");
	loop(&run);
	assert_int_equal(run.ended, 3);
	assert_int_equal(run.status, 3);
	assert_int_equal(run.prepared, 2);
	assert_int_equal(run.retry_ms[0], 100);
	assert_int_equal(run.retry_ms[1], 200);
	assert_int_equal(run.retry_ms[2], 400);
	assert_false(child_running(run.child));
	assert_int_equal(child_restarts(run.child), 3);
	finish(&run);
}

static void test_signal_is_told(void **state)
{
	struct run run = {.enough = 1};

	start(&run, "kill -KILL $$");
	loop(&run);
	assert_int_equal(run.status, -SIGKILL);
	finish(&run);
}

static void test_program_that_is_not_there(void **state)
{
	const char *const argv[] = {"byway-no-such-program", NULL};
	const struct child_spec spec = {"none", argv, NULL, NULL, NULL};
	struct event_base *base = event_base_new();
	struct child *child = NULL;
	struct err err;

	assert_int_equal(child_start(base, &spec, &child, &err), -ENOENT);
	assert_string_equal(err.text, "byway-no-such-program: No such file or directory");
	assert_null(child);
	event_base_free(base);
}

static void test_stop(void **state)
{
	struct run run = {0};

	start(&run, "exec sleep 60");
	child_stop(run.child, 5000, on_stopped, &run);
	loop(&run);
	assert_true(run.stopped);
	assert_int_equal(run.ended, 0);
	finish(&run);
}

static void test_stop_of_a_deaf_one(void **state)
{
	struct run run = {0};

	start(&run, "trap '' TERM; while :; do sleep 0.05; done");
	usleep(200000); /* until the trap is set */
	child_stop(run.child, 100, on_stopped, &run);
	loop(&run);
	assert_true(run.stopped);
	finish(&run);
}

static void test_leftovers(void **state)
{
	struct run run = {.enough = 1};

	start(&run, "sleep 60; :");
	child_end_leftovers("byway-test-chil"); /* not an argument of its own */
	assert_true(child_running(run.child));
	assert_int_equal(kill(0, 0), 0);
	child_end_leftovers("byway-test-child");
	loop(&run);
	assert_int_equal(run.status, -SIGTERM);
	finish(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_started_again_with_backoff),
		cmocka_unit_test(test_signal_is_told),
		cmocka_unit_test(test_program_that_is_not_there),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_stop_of_a_deaf_one),
		cmocka_unit_test(test_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

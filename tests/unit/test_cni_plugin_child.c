/* Programs that answer, and programs that do not. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "child.h"
#include "cleanup.h"

static char file[] = "/tmp/test_child_XXXXXX";

/* Runs a shell script with 2 s of patience; for what must be killed, `patience_ms`. */
static int run(const char *script, const char *input, int patience_ms, struct child_end *end,
	       struct err *err)
{
	char *const envp[] = {(char *)"A=b", NULL};
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(file, 0700), 0);
	*err = (struct err){0};
	return child_run(file, envp, input, patience_ms, end, err);
}

static void test_answers(void **state)
{
	static const struct {
		const char *script, *input, *output;
		int status;
	} cases[] = {
		{"cat", "{\"a\":1}", "{\"a\":1}", 0},
		{"echo \"$A,$CNI_COMMAND\"", "", "b,\n", 0},
		{"exit 3", "unread", "", 3},
		{"head -c 300000 /dev/zero | tr '\\0' x | wc -c; echo no >&2", "", "300000\n", 0},
		{"exec 1>&-; exit 0", "", "", 0},
		/* SIGPIPE is its own again: a shell that writes into a closed pipe dies of it */
		{"(kill -PIPE $$; exit 1)", "", "", 128},
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	for (size_t i = 0; i < array_len(cases); i++) {
		auto_child_end struct child_end end = {0};
		struct err err;

		if (run(cases[i].script, cases[i].input, 20000, &end, &err) < 0)
			fail_msg("%s: %s", cases[i].script, err.text);
		assert_string_equal(end.output, cases[i].output);
		assert_int_equal(end.len, strlen(cases[i].output));
		if (cases[i].status == 128)
			assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGPIPE);
		else
			assert_int_equal(WEXITSTATUS(end.status), cases[i].status);
	}
}

static void test_long_answer(void **state)
{
	auto_child_end struct child_end fits = {0}, longer = {0};
	struct err err;

	assert_int_equal(run("head -c 1048576 /dev/zero", "", 20000, &fits, &err), 0);
	assert_int_equal(fits.len, CHILD_OUTPUT_MAX);
	assert_int_equal(run("exec cat /dev/zero", "", 20000, &longer, &err), -EFBIG);
	assert_null(longer.output);
}

/* However it does not come to an end: it is killed, and soon. */
static void test_late(void **state)
{
	static const char *const scripts[] = {
		"exec sleep 60", "echo '{}'; exec 1>&-; exec sleep 60",
		"trap '' TERM PIPE; while :; do echo x; sleep 0.01; done",
		"sleep 3 & echo '{}'", /* somebody else keeps its output open */
	};

	for (size_t i = 0; i < array_len(scripts); i++) {
		auto_child_end struct child_end end = {0};
		time_t before = time(NULL);
		struct err err;

		assert_int_equal(run(scripts[i], "", 200, &end, &err), -ETIMEDOUT);
		assert_string_equal(err.text, "no answer within 200 ms");
		assert_in_range(time(NULL) - before, 0, 2);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
		assert_int_equal(errno, ECHILD);
	}
}

static void test_not_a_program(void **state)
{
	auto_child_end struct child_end end = {0};
	char *const envp[] = {NULL};
	struct err err = {0};

	assert_int_equal(child_run("/nowhere/x", envp, "", 1000, &end, &err), -ENOENT);
	assert_string_equal(err.text, "/nowhere/x: No such file or directory");
	assert_int_equal(child_run("/tmp", envp, "", 1000, &end, &err), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_not_a_program),
	};
	int fd = mkstemp(file), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	return failed;
}

#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "exit_state.h"

/* Answers half a second apart, a letter each: "." none, "u" up, "s" starting, "d" down; below them
 * the state after each: "?" unknown, "U" up, "s" suspect, "D" down. */
struct table {
	const char *name;
	const char *answers;
	const char *states;
};

static const struct table tables[] = {
	{"an address that never answers stays unknown", "......", "??????"},
	{"two good answers make an exit", "uu", "?U"},
	{"a single good one does not", "u.u.uu", "?????U"},
	{"an exit first heard of while starting", "ssuu", "sssU"},
	{"and one that stays so is down after the grace", "sssssssss", "ssssssssD"},
	{"one missing answer is nothing", "uu.u.u", "?UUUUU"},
	{"two are suspicious", "uu..u", "?UUss"},
	{"two good ones clear the suspicion", "uu..uu", "?UUssU"},
	{"the pair takes over: silence, starting, up", "uu..ssuu", "?UUssssU"},
	{"what the holder says is believed at once", "uud", "?UD"},
	{"also under suspicion", "uu..d", "?UUsD"},
	{"grace counts from the first missing answer", "uu.........", "?UUsssssssD"},
	{"starting belongs to the same trouble", "uu..sssssss", "?UUsssssssD"},
	{"a good answer starts the grace anew", "uu....u........", "?UUssssssssssss"},
	{"down stays down until two good answers", "d.s.uu", "DDDDDU"},
	{"down is not softened by silence", "d..........", "DDDDDDDDDDD"},
	{"an exit flaps", "uud.uudu.uu", "?UDDDUDDDDU"},
};

static enum exit_answer answer_of(char letter)
{
	switch (letter) {
	case 'u':
		return ANSWER_UP;
	case 's':
		return ANSWER_STARTING;
	case 'd':
		return ANSWER_DOWN;
	}
	return ANSWER_NONE;
}

static void test_tables(void **state)
{
	static const struct exit_rules rules = {.up = 2, .down = 2, .grace_ms = 4000};

	for (size_t i = 0; i < array_len(tables); i++) {
		struct exit_health health = {0};
		char seen[32] = "";

		for (size_t k = 0; tables[i].answers[k]; k++) {
			exit_health_step(&health, &rules, answer_of(tables[i].answers[k]),
					 100000 + 500 * (int64_t)k);
			seen[k] = "?UsD"[health.state];
		}
		if (strcmp(seen, tables[i].states) != 0)
			fail_msg("%s: %s gives %s, not %s", tables[i].name, tables[i].answers, seen,
				 tables[i].states);
	}
}

static void test_change_and_since(void **state)
{
	static const struct exit_rules rules = {.up = 1, .down = 1, .grace_ms = 0};
	struct exit_health health = {0};

	assert_false(exit_health_step(&health, &rules, ANSWER_NONE, 1));
	assert_true(exit_health_step(&health, &rules, ANSWER_UP, 2));
	assert_false(exit_health_step(&health, &rules, ANSWER_UP, 3));
	assert_int_equal(health.since, 2);
	assert_true(exit_health_step(&health, &rules, ANSWER_NONE, 4));
	assert_int_equal(health.state, EXIT_SUSPECT);
	assert_true(exit_health_step(&health, &rules, ANSWER_NONE, 5));
	assert_int_equal(health.state, EXIT_DOWN);
	assert_int_equal(health.since, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_change_and_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

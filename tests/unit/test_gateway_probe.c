/* The health of an exit, from what was sent and answered when. */
#include "test.h"

#include <string.h>

#include "probe_state.h"

static const struct probe_rules rules = {.timeout_ms = 1000, .down = 2, .up = 2};

/* A story is a word a round of 500 ms: 'a' answered after 100 ms, 'm' never, 'l' answered late,
 * after 900 ms. `health` is what holds at the end of each round: s, u, d. */
static const struct {
	const char *name, *rounds, *health;
} stories[] = {
	{"the first answer is enough", "aaa", "uuu"},
	{"silence from the start", "mmmm", "sssd"},
	{"one lost probe is nothing", "aamaaa", "uuuuuu"},
	{"every second one lost", "amamamam", "uuuuuuuu"},
	{"two lost in a row", "aammaa", "uuuuuu"},
	{"lost for good", "aammmmm", "uuuuudd"},
	{"back after two answers", "ammmmmaaa", "uuuuddduu"},
	{"a late answer is an answer", "alllll", "uuuuuu"},
};

static char letter(enum exit_health health)
{
	return exit_health_name(health)[0];
}

/* What happens in one round, in steps of 100 ms. */
static void play_round(struct probe_state *s, const char *rounds, size_t i)
{
	int64_t start = (int64_t)i * 500;
	static uint16_t late_seq;
	uint16_t seq;

	probe_state_expire(s, &rules, start);
	seq = probe_state_sent(s, start);
	if (rounds[i] == 'a')
		probe_state_answer(s, &rules, seq, start + 100);
	if (i && rounds[i - 1] == 'l')
		probe_state_answer(s, &rules, late_seq, start + 400);
	late_seq = seq;
	probe_state_expire(s, &rules, start + 499);
}

static void stories_end_as_told(void **state)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct probe_state s = {0};
		char got[32] = "";

		probe_state_start(&s);
		for (size_t r = 0; stories[i].rounds[r]; r++) {
			play_round(&s, stories[i].rounds, r);
			got[r] = letter(s.health);
		}
		if (strcmp(got, stories[i].health) != 0)
			fail_msg("%s: %s, not %s", stories[i].name, got, stories[i].health);
	}
}

static void nobody_waits_for_foreign_answers(void **state)
{
	struct probe_state s = {0};
	uint16_t seq;

	probe_state_start(&s);
	seq = probe_state_sent(&s, 0);
	assert_false(probe_state_answer(&s, &rules, (uint16_t)(seq + 7), 10));
	assert_int_equal(s.health, HEALTH_STARTING);
	assert_true(probe_state_answer(&s, &rules, seq, 10));
	assert_int_equal(s.rtt_ms, 10);
	assert_false(probe_state_answer(&s, &rules, seq, 20)); /* the second target's */
	assert_int_equal(s.rtt_ms, 10);
}

static void a_new_start_forgets_the_old_tunnel(void **state)
{
	struct probe_state s = {0};
	uint16_t seq;

	probe_state_start(&s);
	seq = probe_state_sent(&s, 0);
	probe_state_start(&s);
	assert_false(probe_state_answer(&s, &rules, seq, 10));
	assert_int_not_equal(probe_state_sent(&s, 20), seq);
}

static void the_deadline_is_the_oldest_rounds(void **state)
{
	struct probe_state s = {0};

	probe_state_start(&s);
	assert_int_equal(probe_state_deadline(&s, &rules), -1);
	probe_state_sent(&s, 100);
	probe_state_sent(&s, 600);
	assert_int_equal(probe_state_deadline(&s, &rules), 1100);
	probe_state_expire(&s, &rules, 1100);
	assert_int_equal(probe_state_deadline(&s, &rules), 1600);
}

static void a_full_window_drops_the_oldest(void **state)
{
	struct probe_state s = {0};
	uint16_t last = 0;

	probe_state_start(&s);
	s.seq = 65530; /* and it wraps */
	for (int i = 0; i < 3 * PROBE_WINDOW; i++)
		last = probe_state_sent(&s, i);
	assert_int_equal(s.n_pending, PROBE_WINDOW);
	assert_true(probe_state_answer(&s, &rules, last, 1000));
	assert_int_equal(s.n_pending, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stories_end_as_told),
		cmocka_unit_test(nobody_waits_for_foreign_answers),
		cmocka_unit_test(a_new_start_forgets_the_old_tunnel),
		cmocka_unit_test(the_deadline_is_the_oldest_rounds),
		cmocka_unit_test(a_full_window_drops_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

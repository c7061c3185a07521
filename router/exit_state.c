#include "exit_state.h"

/* The state after an answer other than "up". */
static enum exit_state troubled(const struct exit_health *health, const struct exit_rules *rules,
				enum exit_answer answer, int64_t now)
{
	switch (health->state) {
	case EXIT_UNKNOWN:
		return answer == ANSWER_STARTING ? EXIT_SUSPECT : EXIT_UNKNOWN;
	case EXIT_UP:
		if (answer == ANSWER_STARTING || health->in_row >= rules->down)
			return EXIT_SUSPECT;
		return EXIT_UP;
	case EXIT_SUSPECT:
		return now - health->trouble >= rules->grace_ms ? EXIT_DOWN : EXIT_SUSPECT;
	case EXIT_DOWN:
		return EXIT_DOWN;
	}
	return health->state;
}

static enum exit_state next_state(const struct exit_health *health, const struct exit_rules *rules,
				  enum exit_answer answer, int64_t now)
{
	switch (answer) {
	case ANSWER_UP:
		return health->in_row >= rules->up ? EXIT_UP : health->state;
	case ANSWER_DOWN:
		return EXIT_DOWN;
	case ANSWER_NONE:
	case ANSWER_STARTING:
		return troubled(health, rules, answer, now);
	}
	return health->state;
}

bool exit_health_step(struct exit_health *health, const struct exit_rules *rules,
		      enum exit_answer answer, int64_t now)
{
	enum exit_state next;

	if (health->row == ANSWER_UP && answer != ANSWER_UP)
		health->trouble = now;
	health->in_row = health->row == answer ? health->in_row + 1 : 1;
	health->row = answer;
	next = next_state(health, rules, answer, now);
	if (next == health->state)
		return false;
	/* A first answer of "starting" has no "up" before it from which to count. */
	if (health->state == EXIT_UNKNOWN)
		health->trouble = now;
	health->state = next;
	health->since = now;
	return true;
}

const char *exit_state_name(enum exit_state state)
{
	switch (state) {
	case EXIT_UNKNOWN:
		return "unknown";
	case EXIT_UP:
		return "up";
	case EXIT_SUSPECT:
		return "suspect";
	case EXIT_DOWN:
		return "down";
	}
	return "";
}

#pragma once
/* What the router makes of an exit's answers. Pure.
 *
 * An exit is carried by a pair of gateways. When its holder dies, it does not answer for about a
 * second, then its new holder says "starting", then "up"; flows go on through it all. So silence
 * and "starting" make it *suspect*: no new flows, the established ones are neither refused nor
 * moved. Only what lasts longer than the grace, or the holder's own word, makes it *down*: packets
 * of its flows are refused.
 */

#include <stdbool.h>
#include <stdint.h>

enum exit_state {
	EXIT_UNKNOWN, /* has never answered: nothing is known of such an exit */
	EXIT_UP,
	EXIT_SUSPECT,
	EXIT_DOWN,
};

enum exit_answer { ANSWER_NONE, ANSWER_UP, ANSWER_STARTING, ANSWER_DOWN };

struct exit_rules {
	unsigned int up, down; /* answers in a row, at least 1 */
	unsigned int grace_ms;
};

/* Zeroed: EXIT_UNKNOWN. Times in milliseconds of a monotonic clock. */
struct exit_health {
	enum exit_state state;
	int64_t since;	      /* of the state */
	unsigned int in_row;  /* "up" answers, or missing ones, one after the other */
	enum exit_answer row; /* which */
	int64_t trouble;      /* the first answer that was not "up", of those that go on */
};

/* Takes one answer; returns whether the state changed. */
bool exit_health_step(struct exit_health *health, const struct exit_rules *rules,
		      enum exit_answer answer, int64_t now);

const char *exit_state_name(enum exit_state state);

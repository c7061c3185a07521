#pragma once
/* Is an exit's tunnel passing packets? Judged from echo requests and answers. Pure: time is an
 * argument, in milliseconds of any monotonic clock. */

#include <stdbool.h>
#include <stdint.h>

enum exit_health { HEALTH_STARTING, HEALTH_UP, HEALTH_DOWN };

const char *exit_health_name(enum exit_health health);

/* Rounds whose answer is still waited for: the longest timeout by the shortest interval, and one.
 */
#define PROBE_WINDOW 64

struct probe_rules {
	unsigned int timeout_ms;
	unsigned int down; /* misses in a row */
	unsigned int up; /* answers in a row after having been down; the first one after a start is
			    enough */
};

struct probe_state {
	enum exit_health health;
	unsigned int misses, answers; /* in a row */
	uint16_t seq;		      /* of the next round */
	struct {
		uint16_t seq;
		int64_t sent_ms;
	} pending[PROBE_WINDOW]; /* oldest first */
	unsigned int n_pending;
	int64_t rtt_ms; /* of the last answer, -1: none yet */
};

/* A tunnel that was just brought up. */
void probe_state_start(struct probe_state *s);

/* A round begins (a request to each target); returns the sequence number it must carry. */
uint16_t probe_state_sent(struct probe_state *s, int64_t now_ms);

/* An answer arrived. What nobody waits for is ignored: a late or a foreign one, a second target's.
 * An answer also settles all earlier rounds: only what happened after the last sign of life counts
 * as a miss. Returns true where the health changed. */
bool probe_state_answer(struct probe_state *s, const struct probe_rules *rules, uint16_t seq,
			int64_t now_ms);

/* Time has passed: rounds older than the timeout are misses. Returns true where the health changed.
 */
bool probe_state_expire(struct probe_state *s, const struct probe_rules *rules, int64_t now_ms);

/* When probe_state_expire() has something to do next; -1: nothing is waited for. */
int64_t probe_state_deadline(const struct probe_state *s, const struct probe_rules *rules);

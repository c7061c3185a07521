#include "probe_state.h"

#include <assert.h>
#include <string.h>

const char *exit_health_name(enum exit_health health)
{
	switch (health) {
	case HEALTH_STARTING:
		return "starting";
	case HEALTH_UP:
		return "up";
	case HEALTH_DOWN:
		return "down";
	}
	return "?";
}

void probe_state_start(struct probe_state *s)
{
	/* The sequence goes on: answers to the former tunnel's requests must not count. */
	*s = (struct probe_state){.health = HEALTH_STARTING, .seq = s->seq, .rtt_ms = -1};
}

/* Forgets the `n` oldest rounds. */
static void drop(struct probe_state *s, unsigned int n)
{
	assert(n <= s->n_pending);
	s->n_pending -= n;
	memmove(s->pending, s->pending + n, s->n_pending * sizeof(s->pending[0]));
}

uint16_t probe_state_sent(struct probe_state *s, int64_t now_ms)
{
	if (s->n_pending == PROBE_WINDOW)
		drop(s, 1);
	s->pending[s->n_pending].seq = s->seq;
	s->pending[s->n_pending].sent_ms = now_ms;
	s->n_pending++;
	return s->seq++;
}

static bool set_health(struct probe_state *s, enum exit_health health)
{
	bool changed = s->health != health;

	s->health = health;
	return changed;
}

static bool count_answer(struct probe_state *s, const struct probe_rules *rules)
{
	s->misses = 0;
	s->answers++;
	switch (s->health) {
	case HEALTH_STARTING:
		return set_health(s, HEALTH_UP);
	case HEALTH_UP:
		return false;
	case HEALTH_DOWN:
		return s->answers >= rules->up && set_health(s, HEALTH_UP);
	}
	return false;
}

static bool count_miss(struct probe_state *s, const struct probe_rules *rules)
{
	s->answers = 0;
	s->misses++;
	return s->misses >= rules->down && set_health(s, HEALTH_DOWN);
}

bool probe_state_answer(struct probe_state *s, const struct probe_rules *rules, uint16_t seq,
			int64_t now_ms)
{
	for (unsigned int i = 0; i < s->n_pending; i++) {
		if (s->pending[i].seq != seq)
			continue;
		s->rtt_ms = now_ms - s->pending[i].sent_ms;
		drop(s, i + 1);
		return count_answer(s, rules);
	}
	return false;
}

bool probe_state_expire(struct probe_state *s, const struct probe_rules *rules, int64_t now_ms)
{
	bool changed = false;

	while (s->n_pending && now_ms - s->pending[0].sent_ms >= rules->timeout_ms) {
		drop(s, 1);
		changed |= count_miss(s, rules);
	}
	return changed;
}

int64_t probe_state_deadline(const struct probe_state *s, const struct probe_rules *rules)
{
	return s->n_pending ? s->pending[0].sent_ms + rules->timeout_ms : -1;
}

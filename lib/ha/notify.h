#pragma once
/* keepalived's notifications: lines `INSTANCE "NAME" STATE PRIORITY` in a fifo. */

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "ha.h"

/* Longer lines are not ours and are skipped. */
#define NOTIFY_LINE_MAX 128

/* `instance` is valid during the call. */
typedef void notify_fn(const char *instance, enum ha_state state, void *data);

/* A line that has not ended yet. Zeroed at the start. */
struct notify_parser {
	char line[NOTIFY_LINE_MAX];
	size_t len;
	bool skip; /* the line is too long: up to its end nothing counts */
};

/* Takes `n` bytes as they came, calls `fn` for each whole line that names a state of an instance.
 * Everything else (groups, priorities) is passed over. Pure but for `fn`. */
void notify_parse(struct notify_parser *parser, const char *bytes, size_t n, notify_fn *fn,
		  void *data);

struct notify;

/* Makes the fifo anew, so that nothing a dead keepalived wrote is read, and listens to it. */
int notify_open(struct event_base *base, const char *path, notify_fn *fn, void *data,
		struct notify **ret, struct err *err);
void notify_close(struct notify *notify);

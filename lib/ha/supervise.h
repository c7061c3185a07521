#pragma once
/* A daemon as a child: started again with backoff when it ends by itself, ended when asked, and
 * never outliving this process (PR_SET_PDEATHSIG: SIGTERM). */

#include <event2/event.h>
#include <stdbool.h>

#include "err.h"

struct child;

/* Called when the daemon ended without having been asked; it is started again after `retry_ms`.
 * `status` as of waitid(): an exit code, or -SIGNAL. */
typedef void child_ended_fn(struct child *child, int status, unsigned int retry_ms, void *data);

/* Called before each start but the first, to clear away what the last run left. */
typedef void child_prepare_fn(void *data);

struct child_spec {
	const char *name;	   /* for messages; outlives the child */
	const char *const *argv;   /* copied */
	child_ended_fn *ended;	   /* may be NULL */
	child_prepare_fn *prepare; /* may be NULL */
	void *data;
};

/* Starts it. Fails when the program cannot be executed. *ret is owned by the caller. */
int child_start(struct event_base *base, const struct child_spec *spec, struct child **ret,
		struct err *err);

bool child_running(const struct child *child);
unsigned int child_restarts(const struct child *child);

/* SIGTERM, SIGKILL after `patience_ms`; `done` when it is gone (perhaps at once). */
void child_stop(struct child *child, unsigned int patience_ms, void (*done)(void *data),
		void *data);

/* Ends it before returning: SIGTERM, SIGKILL half a second later. */
void child_free(struct child *child);

/* Ends every process of this PID namespace whose command line has `arg` as an argument of its own,
 * the same way: daemons that a former agent left. */
void child_end_leftovers(const char *arg);

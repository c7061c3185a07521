#pragma once
/* What a daemon shows of itself: HTTP on a TCP address (/metrics, /healthz, /readyz) and the same
 * plus /status on the control socket that bywayctl asks. Built on evhttp. */

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>

#include "addr.h"
#include "err.h"
#include "strbuf.h"

/* Any of them may be NULL: its paths answer 404 then. */
struct obs_callbacks {
	/* The status document; the caller owns the reference. */
	json_t *(*status)(void *data);
	/* Appends Prometheus text (HELP, TYPE, samples). */
	void (*metrics)(struct strbuf *b, void *data);
	/* True where traffic passes (or would: a standby in sync); `why` (at least 128 bytes) gets
	 * one line either way. */
	bool (*ready)(char *why, size_t size, void *data);
	void *data;
};

struct obs;

/* `listen` family AF_UNSPEC: no TCP. `socket_path` (NULL: no control socket): its directory is
 * made, a stale socket replaced, mode 0600. Requests other than GET and HEAD, bodies, and headers
 * above 8 KiB are refused; a silent client is dropped after 5 s. *ret is owned by the caller:
 * obs_stop(). */
int obs_start(struct event_base *base, const struct addr *listen, uint16_t port,
	      const char *socket_path, const struct obs_callbacks *callbacks, struct obs **ret,
	      struct err *err);
void obs_stop(struct obs *obs);

/* An additional GET path on both listeners, answered with a JSON document. `local` is the address
 * the request came to (AF_UNSPEC on the control socket); a NULL return answers 404, `*code` may be
 * set (default 200). */
typedef json_t *obs_handler_fn(const struct addr *local, int *code, void *data);
void obs_handle(struct obs *obs, const char *path, obs_handler_fn *fn, void *data);

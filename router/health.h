#pragma once
/* Asks every exit of the range for its health document, each by itself: an exit that does not
 * answer delays no other. */

#include <event2/event.h>

#include "health_document.h"
#include "model.h"
#include "router_config.h"

struct health;

/* One answer of exit number `index`; `document` is NULL where there was none in time, or none that
 * could be read. */
typedef void health_fn(size_t index, const struct health_document *document, void *data);

/* Asks each exit once an interval, over a connection of its own. Never fails; health_stop() frees.
 */
struct health *health_start(struct event_base *base, const struct router_config *config,
			    const struct model *model, health_fn *fn, void *data);
void health_stop(struct health *health);

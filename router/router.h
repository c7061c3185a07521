#pragma once
/* The running router: election, health, the kernel (router.c), and what is shown of them (show.c).
 */

#include <event2/event.h>
#include <jansson.h>

#include "apply.h"
#include "err.h"
#include "exit_state.h"
#include "ha.h"
#include "model.h"
#include "router_config.h"
#include "strbuf.h"

struct health;

struct router {
	struct event_base *base;
	struct router_config config;
	struct model model;
	struct exit_health *exits; /* as model.exits */
	struct apply apply;
	struct ha *ha;
	struct health *health;
	struct event *reconcile; /* timer */
	struct addr address;	 /* own, on the network */
	struct {
		unsigned int n;
		int64_t at;	      /* last, ms of CLOCK_MONOTONIC */
		unsigned int took_us; /* from the election to the open gate */
	} promotions;
	int64_t role_since; /* ms of CLOCK_MONOTONIC */
	bool stopping;
};

/* Takes over `config` (which is empty afterwards). Brings the kernel to its state with the gate
 * shut, starts the election and the health checks. -EMSGSIZE where the configured MTU is larger
 * than the interface's, other errors are the world's. */
int router_start(struct event_base *base, struct router_config *config, struct router **ret,
		 struct err *err);

/* Planned hand-over: the peer takes over, packets on their way still pass; then the gate is shut
 * and the loop left. */
void router_stop(struct router *router);

/* Goes over to a new configuration, which it takes; -EINVAL where that needs a restart. */
int router_reload(struct router *router, struct router_config *config, struct err *err);

void router_free(struct router *router);

/* Of the VIP's election. */
enum ha_state router_state(const struct router *router);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t router_now_ms(void);

/* For struct obs_callbacks; `data` is the router. */
json_t *router_status(void *data);
void router_metrics(struct strbuf *b, void *data);
bool router_ready(char *why, size_t size, void *data);

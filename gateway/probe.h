#pragma once
/* Measures a tunnel from within: ICMP echo requests by a raw socket bound to its device, to all
 * targets every interval. The first goes out at once, so that the provider learns where the tunnel
 * ends now. */

#include <event2/event.h>
#include <stdint.h>

#include "err.h"
#include "gateway_config.h"
#include "probe_state.h"

struct probe;

/* Called from the loop whenever the health changes. */
typedef void probe_changed_fn(enum exit_health health, void *data);

/* `config` must outlive it. `id` tells this exit's requests from those of others. Needs
 * CAP_NET_RAW. *ret is owned by the caller: probe_stop(). */
int probe_start(struct event_base *base, const struct probe_config *config, const char *dev,
		uint16_t id, probe_changed_fn *changed, void *data, struct probe **ret,
		struct err *err);
void probe_stop(struct probe *probe);

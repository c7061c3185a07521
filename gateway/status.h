#pragma once
/* What the gateway tells of itself. Pure; `now` in seconds since the epoch. Holds no keys. */

#include <jansson.h>

#include "gateway_config.h"
#include "model.h"
#include "strbuf.h"

/* The /status document; the caller owns it. */
json_t *status_document(const struct gateway_config *config, const struct model *m, int64_t now);

/* The health document of the exit with the address `local`; NULL where this member does not hold
 * it. The caller owns it. */
json_t *status_health(const struct gateway_config *config, const struct model *m,
		      const struct addr *local);

/* Prometheus text. */
void status_metrics(const struct gateway_config *config, const struct model *m, int64_t now,
		    struct strbuf *b);

/* Every exit that is held is healthy, and the pair is in sync where one is not held. `why` gets one
 * line. */
bool status_ready(const struct gateway_config *config, const struct model *m, bool in_sync,
		  char *why, size_t size);

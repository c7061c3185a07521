#pragma once
/* The running gateway: elections, tunnels, probes and what it shows of itself, on one event loop.
 */

#include "err.h"
#include "gateway_config.h"

/* Runs until SIGTERM or SIGINT and the hand-over that follows. `file` is read again at SIGHUP.
 * Takes over what `config` owns and leaves it cleared. Returns an exit status (enum exit_status);
 * what went wrong has been logged. */
int agent_run(const char *file, struct gateway_config *config);

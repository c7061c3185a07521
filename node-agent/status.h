#pragma once
/* What byway-node shows of itself, asked of the kernel at that moment. */

#include "apply.h"
#include "server.h"

/* The callbacks for obs_start(); `agent` is the caller's and must outlive them. */
struct obs_callbacks node_status_callbacks(struct node_agent *agent);

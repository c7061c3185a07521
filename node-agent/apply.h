#pragma once
/* Bringing about what is wanted, again and again: every step is idempotent, and what is there
 * already is adopted. */

#include "net.h"
#include "node_config.h"
#include "object.h"

/* The agent's state, owned by main(). */
struct node_agent {
	struct node_config config;
	struct net *net;	   /* the agent's namespace; NULL before node_prepare() */
	unsigned int underlay_mtu; /* bytes */
	struct object_list wanted;
	char *foreign; /* what stood in the way last time, as text; owned */
	char *ruleset; /* the table that isolates clients, as it was listed once loaded; owned.
			* NULL: to be loaded */

	/* Since the start. */
	uint64_t passes, failures, steps;
	uint64_t reclaimed; /* leases without a pod */
	struct err last;    /* code 0 where the last pass succeeded */
};

void node_agent_free(struct node_agent *agent);

/* Takes over `config` (emptied): looks at the underlay, checks that the networks fit it and derives
 * what is wanted. On failure the agent is as before and `config` the caller's. -EINVAL where the
 * configuration is at fault. */
int node_agent_configure(struct node_agent *agent, struct node_config *config, struct err *err);

/* Makes the namespace, or adopts it, and opens it. */
int node_prepare(struct node_agent *agent, struct err *err);

/* One pass: lease tables, the table that isolates clients, then the kernel's objects: no bridge is
 * ever there before that table; at last leases without a pod. Logs each change and each failure;
 * `err` has the first. All that can be done is done. */
int node_apply(struct node_agent *agent, struct err *err);

/* Is the table that isolates clients as it was loaded? -ENOENT, -ESTALE. */
int node_check_isolation(struct node_agent *agent, struct err *err);

#pragma once
/* What a role needs in its pod's namespace. Pure. */

#include "attach.h"
#include "netconf.h"

/* Metric of unreachable routes: used when the way out is gone. */
#define ROLE_UNREACHABLE_METRIC 4096

/* The guard's rule comes behind the local table's (0) and before those of others. */
#define ROLE_GUARD_PREF	 100
#define ROLE_GUARD_TABLE 187

/* Fills a->guard and appends the role's routes to a->routes: a client's way out is the VIP, for
 * everything but the intranet. The other roles have no guard, and no routes but what their address
 * brings. */
void role_routes(const struct netconf *c, struct attachment *a);

#define ROLE_SYSCTLS_MAX 24

/* Fills `list` and returns how many; `ifname` is the interface in the pod. */
size_t role_sysctls(enum cni_role role, const char *ifname,
		    struct attach_sysctl list[static ROLE_SYSCTLS_MAX]);

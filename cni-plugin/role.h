#pragma once
/* What a role needs in its pod's namespace. Pure. */

#include "attach.h"
#include "netconf.h"

/* Metric of the unreachable routes behind the split routes: used when those are gone. */
#define ROLE_UNREACHABLE_METRIC 4096

/* Appends the role's routes to a->routes. A client's are everything but the intranet by the VIP,
 * each doubled by an unreachable one, and IPv6's global space unreachable; the others have none but
 * what their address brings. */
void role_routes(const struct netconf *c, struct attachment *a);

#define ROLE_SYSCTLS_MAX 24

/* Fills `list` and returns how many; `ifname` is the interface in the pod. */
size_t role_sysctls(enum cni_role role, const char *ifname,
		    struct attach_sysctl list[static ROLE_SYSCTLS_MAX]);

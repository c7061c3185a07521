#pragma once
/* Network namespaces given by path. */

#include <stdbool.h>

#include "cni.h"
#include "err.h"

/* Opens a network namespace; *ret is a descriptor owned by the caller. -ENOENT where there is
 * nothing, -EINVAL where it is something else (after a reboot an empty file may lie there). From
 * here on only the descriptor is used: what the path names may change. */
int netns_open(const char *path, int *ret, struct err *err);

/* Are both the same namespace? */
bool netns_same(int a, int b);

/* Is it the namespace of this process, that is, the host's? */
bool netns_is_own(int fd);

/* Opens the pod's namespace, which must be neither the host's nor the node agent's, and that of the
 * node agent's bridges, before anything is touched. Both descriptors are owned by the caller. */
enum cni_code netns_open_both(const char *pod_path, const char *bridge_path, int *pod, int *bridge,
			      struct err *err);

#pragma once
/* The last word on what leaves a pod: nftables in its namespace. */

#include <stdbool.h>
#include <stddef.h>

#include "addr.h"
#include "err.h"

#define SEAL_TABLE "byway"

/* Lets packets out of the namespace only by lo, by links of the group `group` (IFLA_GROUP) and to
 * `allowed`, by whatever link. Takes the place of an earlier seal; *made says that there was none.
 * Where the kernel has no IPv6 the seal is one of IPv4. -EPROTONOSUPPORT where it has no nftables.
 */
int seal_make(int netns_fd, unsigned int group, const struct prefix *allowed, size_t n, bool *made,
	      struct err *err);

/* 0 also where there is none. */
int seal_remove(int netns_fd, struct err *err);

/* 0 where there is one that drops what none of its rules lets pass, else -ENOENT. */
int seal_check(int netns_fd, struct err *err);

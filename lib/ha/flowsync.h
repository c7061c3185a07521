#pragma once
/* conntrackd's control socket: what `conntrackd -s` and `conntrackd -R` do, without a process. */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct flowsync;

/* Asks the daemon behind the socket `path` once a second how much it heard of its peer. */
struct flowsync *flowsync_new(struct event_base *base, const char *path);
void flowsync_free(struct flowsync *sync);

/* The peer was heard of within the last three seconds (its conntrackd says so every second). */
bool flowsync_in_sync(const struct flowsync *sync);

/* Has conntrackd read the kernel's table anew. A member that was promoted holds flows that it got
 * from its peer, which conntrackd does not count as its own; without this a third member that
 * starts later would be sent only those that changed since. */
void flowsync_resync(struct flowsync *sync);

/* "… N Pckts recv" of the multicast section in the answer to `conntrackd -s`; -EINVAL. Pure. */
int flowsync_received(const char *stats, uint64_t *ret);

#pragma once
/* Brings the kernel to what desired.c wants. All are idempotent. */

#include "err.h"
#include "gateway_config.h"
#include "model.h"
#include "net.h"

/* What the configuration promises and only the machine knows: the network's interface exists and
 * its MTU is large enough. Fills m->underlay_mtu. -EINVAL: the configuration's fault; nothing is
 * changed. */
int apply_check(struct net *net, const struct gateway_config *config, struct model *m,
		struct err *err);

/* Everything, in the order that never leaves a way past the tunnels: kill switch, then links and
 * routes, then keys. Tries all it can and returns the first error. */
int apply_all(struct net *net, const struct gateway_config *config, struct model *m,
	      struct err *err);

/* Only the WireGuard devices that differ from what is wanted. */
int apply_devices(struct net *net, const struct gateway_config *config, const struct model *m,
		  struct err *err);

/* An exit that was just marked as held comes up, its tunnel first; or, where it was marked as not held,
 * both go down. In a few system calls. */
int apply_exit(struct net *net, const struct gateway_config *config, struct model *m,
	       struct err *err);

/* The agent's sign of life, and which exits forward; the whole ruleset where somebody took it away. */
int apply_signs(struct net *net, const struct gateway_config *config, const struct model *m,
		struct err *err);

/* Stops forwarding for an exit that was just marked as down, and forgets its flows: in this order, so that
 * no packet makes an entry anew. */
int apply_exit_down(struct net *net, const struct gateway_config *config, const struct model *m,
		    size_t i, struct err *err);

/* Reads handshake and counters of an exit. */
int apply_observe_tunnel(struct net *net, const struct gateway_config *config, struct model *m,
			 size_t i, struct err *err);

/* Throws an exit's WireGuard sessions away, so that its next packet begins with a handshake. */
int apply_rekey(struct net *net, const struct gateway_config *config, const struct model *m,
		size_t i, struct err *err);

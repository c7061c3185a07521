#pragma once
/* What the kernel should hold, from configuration and model. Pure.
 *
 * An exit's mark, table and rule follow from its place in the range and are there for the whole
 * range from the start: a flow that the peer replicated is routed right even before this router has
 * heard of its exit. Health changes the ruleset only.
 */

#include "model.h"
#include "object.h"
#include "router_config.h"
#include "strbuf.h"

/* The VIP's device. */
#define VIP_DEVICE "vip"

/* Mark of the flows of exit number `i` of the range. */
#define EXIT_MARK(i) (101U + (unsigned int)(i))

/* Links, routes, rules. */
void desired_objects(const struct router_config *config, const struct model *model,
		     struct object_list *ret);

/* The script that makes tables `ip byway_router` and `ip6 byway_router` where they are missing and
 * replaces their rules in one transaction. */
void desired_ruleset(const struct router_config *config, const struct model *model,
		     struct strbuf *b);

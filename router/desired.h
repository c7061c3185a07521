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

/* The script that opens or shuts the gate of a loaded ruleset and changes nothing else: a tenth of
 * the time of the whole, between an election and the first packet. */
void desired_gate(const struct model *model, struct strbuf *b);

/* The script that replaces tables `ip byway_router` and `ip6 byway_router` in one transaction. */
void desired_ruleset(const struct router_config *config, const struct model *model,
		     struct strbuf *b);

#pragma once
/* The table that isolates clients' ports, as text for nftables. Pure. */

#include "node_config.h"
#include "strbuf.h"

/* One transaction, whatever was there: the rules are replaced, the sets stay with the entries that
 * they have. */
void node_ruleset(const struct node_config *config, struct strbuf *ret);

#pragma once
/* What the gateway wants of the kernel, from its configuration and what was observed. Pure.
 *
 * Exit number i (its place in the list) has these numbers, in tables and rules alike:
 *
 *	2000+i	what goes into its tunnel: default by wg-NAME while it is held, else unreachable
 *	3000+i	what comes out of it: the network, by way of the VIP on x-NAME
 *	4000+i	what the exit's own address says: the network, on-link
 *
 * and its flows carry the first as connection mark.
 */

#include "gateway_config.h"
#include "ha.h"
#include "model.h"
#include "object.h"
#include "strbuf.h"
#include "wireguard.h"

/* A tunnel's own packets may leave this long after the agent last said that it is alive. */
#define ALIVE_SECONDS 5

/* Names of an exit's two devices. */
void desired_side_name(const struct exit_config *exit, char name[static IFNAMSIZ]);   /* x-NAME */
void desired_tunnel_name(const struct exit_config *exit, char name[static IFNAMSIZ]); /* wg-NAME */

/* Connection mark of the flows of exit number `i`. */
uint32_t desired_flow_mark(size_t i);

/* Links, addresses, routes and rules. */
void desired_objects(const struct gateway_config *config, const struct model *m,
		     struct object_list *ret);

/* Both nftables tables as one transaction. */
void desired_ruleset(const struct gateway_config *config, const struct model *m, struct strbuf *b);

/* Only the two sets: that the agent is alive, and which exits forward. To be repeated every second. */
void desired_signs(const struct gateway_config *config, const struct model *m, struct strbuf *b);

/* The WireGuard device of exit `i`. *ret is owned by the caller (wg_device_clear) and holds keys.
 */
void desired_device(const struct gateway_config *config, const struct model *m, size_t i,
		    struct wg_device *ret);

/* The election of exit `i`. */
void desired_holding(const struct gateway_config *config, size_t i, struct ha_holding *ret);

#pragma once
/* What a user may ask for: an address, a MAC address. It arrives in three ways, of which Multus uses
 * two at once for the same request. The stronger way replaces the weaker one: CNI_ARGS (IP, MAC),
 * `args.cni`, `runtimeConfig` (both: ips, mac).
 */

#include "env.h"
#include "netconf.h"

/* config_decode_fn of `runtimeConfig` and `args`; `out` is the struct netconf. */
int request_decode(const struct config_value *v, void *out, const void *arg, struct err *err);
int request_decode_args(const struct config_value *v, void *out, const void *arg, struct err *err);

/* Adds what CNI_ARGS asks for, and refuses what cannot be had. */
enum cni_code request_complete(struct netconf *c, const struct cni_env *env, struct err *err);

#pragma once
/* Addresses from another plugin: `ipam.type` of the configuration is searched in CNI_PATH and run
 * with the same input and environment as ourselves, but for CNI_COMMAND. Its error document is
 * passed on: the code is the delegate's, the text begins with its name. Its stderr is ours.
 */

#include "env.h"
#include "netconf.h"
#include "result.h"

/* Where ADD fails, the delegate has been told to DEL already. `ret` is cleared by the caller. */
enum cni_code ipam_add(const struct cni_env *env, const struct netconf *conf,
		       const struct config_text *text, struct result *ret, struct err *err);

/* Nothing to do, and CNI_OK, where conf->ipam_type is NULL. */
enum cni_code ipam_del(const struct cni_env *env, const struct netconf *conf,
		       const struct config_text *text, struct err *err);
enum cni_code ipam_check(const struct cni_env *env, const struct netconf *conf,
			 const struct config_text *text, struct err *err);
enum cni_code ipam_gc(const struct cni_env *env, const struct netconf *conf,
		      const struct config_text *text, struct err *err);
enum cni_code ipam_status(const struct cni_env *env, const struct netconf *conf,
			  const struct config_text *text, struct err *err);

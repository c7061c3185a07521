#pragma once
/* Addresses from another plugin: `ipam.type` of the configuration is searched in CNI_PATH and run
 * with the same input and environment as ourselves, but for CNI_COMMAND. Its error document is
 * passed on: the code is the delegate's, the text begins with its name. Its stderr is ours.
 */

#include "env.h"
#include "netconf.h"
#include "result.h"

/* Where ADD fails, the delegate has been told to DEL already. `ret` is owned by the caller, also
 * then. */
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

/* --- ipam_answer.c: pure --- */

/* What a delegate wrote: a result of the version it names or of `version`; an error document, whose
 * code is returned. */
int ipam_decode_result(const char *text, size_t len, enum cni_version version, struct result *ret,
		       struct err *err);
enum cni_code ipam_decode_error(const char *text, size_t len, struct err *err);

/* Gives `link` the address and the routes of a delegate. CNI_BAD_CONFIG where they are not what the
 * role can have. */
enum cni_code ipam_use(const struct netconf *conf, const struct result *given,
		       struct attachment *link, struct err *err);

#include "ipam.h"

#include <errno.h>

static enum cni_code run(const struct netconf *conf, const char *command, struct err *err)
{
	if (!conf->ipam_type)
		return CNI_OK;
	err_set(err, -ENOTSUP, "ipam %s: %s is not supported", conf->ipam_type, command);
	return CNI_UNSUPPORTED;
}

enum cni_code ipam_add(const struct cni_env *env, const struct netconf *conf,
		       const struct config_text *text, struct result *ret, struct err *err)
{
	(void)env, (void)text, (void)ret;
	return run(conf, "ADD", err);
}

enum cni_code ipam_del(const struct cni_env *env, const struct netconf *conf,
		       const struct config_text *text, struct err *err)
{
	(void)env, (void)text;
	return run(conf, "DEL", err);
}

enum cni_code ipam_check(const struct cni_env *env, const struct netconf *conf,
			 const struct config_text *text, struct err *err)
{
	(void)env, (void)text;
	return run(conf, "CHECK", err);
}

enum cni_code ipam_gc(const struct cni_env *env, const struct netconf *conf,
		      const struct config_text *text, struct err *err)
{
	(void)env, (void)text;
	return run(conf, "GC", err);
}

enum cni_code ipam_status(const struct cni_env *env, const struct netconf *conf,
			  const struct config_text *text, struct err *err)
{
	(void)env, (void)text;
	return run(conf, "STATUS", err);
}

/* CHECK: is the attachment still what ADD made? */
#include "cni.h"

#include <errno.h>

enum cni_code cni_check(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	(void)env, (void)text;
	err_set(err, -ENOTSUP, "CHECK is not supported");
	return CNI_UNSUPPORTED;
}

/* GC: frees what belongs to no valid attachment. */
#include "cni.h"

#include <errno.h>

enum cni_code cni_gc(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	(void)env, (void)text;
	err_set(err, -ENOTSUP, "GC is not supported");
	return CNI_UNSUPPORTED;
}

#pragma once
/* What goes to standard output, exactly in the version that the configuration asks for. Pure, but
 * for result_write(). */

#include "attach.h"
#include "cni.h"

/* The result of ADD. `sandbox` is CNI_NETNS as the runtime wrote it; of `link` the interface, MAC,
 * MTU, address and unicast routes are told. `gateway` may be none. The text is owned by the caller.
 */
char *result_attached(enum cni_version version, const struct attachment *link, const char *sandbox,
		      const struct addr *gateway);

/* The answer to VERSION. */
char *result_versions(enum cni_version version);

char *result_error(enum cni_version version, enum cni_code code, const char *details);

/* Writes it to standard output at once. */
int result_write(const char *text, struct err *err);

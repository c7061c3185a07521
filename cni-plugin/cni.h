#pragma once
/* Words of the CNI specification that all files of the plugin share: versions, error codes, verbs.
 */

#include "config.h"
#include "err.h"

/* In ascending order; names in cni_version_names[]. */
enum cni_version {
	CNI_0_1_0,
	CNI_0_2_0,
	CNI_0_3_0,
	CNI_0_3_1,
	CNI_0_4_0,
	CNI_1_0_0,
	CNI_1_1_0,
};
#define CNI_VERSIONS	   (CNI_1_1_0 + 1)
#define CNI_VERSION_NEWEST CNI_1_1_0

extern const char *const cni_version_names[CNI_VERSIONS];

/* False where it is none of ours. */
bool cni_version_find(const char *name, enum cni_version *ret);

/* Error codes of the specification; those from 100 on are ours, or a delegate's, whose code is passed
 * on whatever it is. */
enum cni_code {
	CNI_OK = 0,
	CNI_BAD_VERSION = 1,
	CNI_UNSUPPORTED = 2,
	CNI_BAD_ENV = 4,
	CNI_IO = 5,
	CNI_BAD_JSON = 6,
	CNI_BAD_CONFIG = 7,
	CNI_BAD_NETNS = 8,
	CNI_AGAIN = 11,
	CNI_NOT_AVAILABLE = 50,
	CNI_LIMITED = 51,
	CNI_NO_ADDRESS = 101,
	CNI_ADDRESS_IN_USE = 102,
	CNI_ATTACHED = 103,
	CNI_CHANGED = 104,
};

struct cni_env;

/* One verb a file. Each returns its code, and `err` where that is not CNI_OK; `text` is the
 * configuration from standard input. ADD, VERSION print their result themselves, once, as the last
 * thing that can fail. */
enum cni_code cni_add(const struct cni_env *env, const struct config_text *text, struct err *err);
enum cni_code cni_del(const struct cni_env *env, const struct config_text *text, struct err *err);
enum cni_code cni_check(const struct cni_env *env, const struct config_text *text, struct err *err);
enum cni_code cni_gc(const struct cni_env *env, const struct config_text *text, struct err *err);
enum cni_code cni_status(const struct cni_env *env, const struct config_text *text,
			 struct err *err);

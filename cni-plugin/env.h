#pragma once
/* The parameters that a runtime passes in the environment. */

#include "cni.h"

enum cni_verb { VERB_ADD, VERB_DEL, VERB_CHECK, VERB_GC, VERB_STATUS, VERB_VERSION };

/* As CNI_COMMAND spells it. */
const char *env_verb_name(enum cni_verb verb);

/* Pointers point into the environment. What is copied is of CNI_ARGS: "" where it is not there, or
 * longer than such a thing can be. */
struct cni_env {
	enum cni_verb verb;
	const char *container_id;
	const char *ifname;
	const char *netns; /* "" where the runtime gave none (DEL) */
	const char *path;  /* CNI_PATH, "" where the runtime gave none */
	char pod_uid[64];
	char pod_namespace[64];
	char pod_name[254];
	char args_ip[512]; /* requested addresses, separated by commas */
	char args_mac[32];
};

/* Where a variable comes from: getenv(), or a table in tests. */
typedef char *env_get_fn(const char *name);

/* Reads and checks what the verb needs; values that it does not need are not looked at. CNI_BAD_ENV
 * names every variable that is missing. */
enum cni_code env_load(env_get_fn *get, struct cni_env *ret, struct err *err);

#include "env.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "lease.h"

/* Needs of the verbs, as the reference implementation has them (DEL may lack CNI_NETNS). */
static const struct {
	const char *name;
	bool attachment; /* needs container id and interface */
	bool netns;
} verbs[] = {
	[VERB_ADD] = {"ADD", true, true},	  [VERB_DEL] = {"DEL", true, false},
	[VERB_CHECK] = {"CHECK", true, true},	  [VERB_GC] = {"GC", false, false},
	[VERB_STATUS] = {"STATUS", false, false}, [VERB_VERSION] = {"VERSION", false, false},
};

const char *env_verb_name(enum cni_verb verb)
{
	return verbs[verb].name;
}

static enum cni_code find_verb(const char *name, enum cni_verb *ret, struct err *err)
{
	for (size_t i = 0; i < array_len(verbs); i++) {
		if (!strcmp(verbs[i].name, name)) {
			*ret = (enum cni_verb)i;
			return CNI_OK;
		}
	}
	err_set(err, -EINVAL,
		"CNI_COMMAND: \"%.40s\" is none of ADD, DEL, CHECK, GC, STATUS, VERSION", name);
	return CNI_BAD_ENV;
}

/* Names of what is missing, separated by commas. */
static enum cni_code check_missing(const struct cni_env *env, struct err *err)
{
	const struct {
		const char *name, *value;
		bool needed;
	} variables[] = {
		{"CNI_CONTAINERID", env->container_id, verbs[env->verb].attachment},
		{"CNI_NETNS", env->netns, verbs[env->verb].netns},
		{"CNI_IFNAME", env->ifname, verbs[env->verb].attachment},
	};
	char names[64] = "";

	for (size_t i = 0; i < array_len(variables); i++) {
		size_t n = strlen(names);

		if (variables[i].needed && !*variables[i].value)
			snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "",
				 variables[i].name);
	}
	if (!*names)
		return CNI_OK;
	err_set(err, -EINVAL, "missing in the environment: %s", names);
	return CNI_BAD_ENV;
}

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* What is told again in the result must be text for JSON. */
static bool is_utf8(const char *s)
{
	json_t *json = json_string(s);
	bool valid = json;

	json_decref(json);
	return valid;
}

static enum cni_code check_attachment(const struct cni_env *env, struct err *err)
{
	const char *id = env->container_id, *ifname = env->ifname;

	if (strspn(id, LETTERS_AND_DIGITS "_.-") != strlen(id) || strchr("_.-", id[0]))
		err_set(err, -EINVAL, "CNI_CONTAINERID: \"%.140s\" is not a container id", id);
	else if (env->verb == VERB_ADD && strlen(id) >= LEASE_OWNER_MAX)
		err_set(err, -EINVAL, "CNI_CONTAINERID: longer than %d characters",
			LEASE_OWNER_MAX - 1);
	else if (strlen(ifname) >= IFNAMSIZ)
		err_set(err, -EINVAL, "CNI_IFNAME: \"%.40s\" is longer than %d characters", ifname,
			IFNAMSIZ - 1);
	else if (strpbrk(ifname, "/: \t\n\r\v\f") || !strcmp(ifname, ".") || !strcmp(ifname, ".."))
		err_set(err, -EINVAL, "CNI_IFNAME: \"%s\" is not an interface name", ifname);
	else if (env->verb == VERB_ADD && (!is_utf8(ifname) || !is_utf8(env->netns)))
		err_set(err, -EINVAL, "CNI_IFNAME or CNI_NETNS is not UTF-8");
	else
		return CNI_OK;
	return CNI_BAD_ENV;
}

/* The value of a key in "K=V;K=V". Multus says some keys twice: the last one counts. Everything
 * else in there is somebody else's. False where the value is longer than `size` allows: then it is
 * none. */
static bool find_arg(const char *args, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);
	bool fits = true;

	for (const char *p = args; *p; p += strcspn(p, ";"), p += *p == ';') {
		size_t len = strcspn(p, ";");

		if (len <= n || strncmp(p, key, n) != 0 || p[n] != '=')
			continue;
		fits = len - n <= size;
		snprintf(ret, size, "%.*s", fits ? (int)(len - n - 1) : 0, p + n + 1);
	}
	return fits;
}

static enum cni_code load_args(const char *args, struct cni_env *env, struct err *err)
{
	bool fits;

	find_arg(args, "K8S_POD_UID", env->pod_uid, sizeof(env->pod_uid));
	find_arg(args, "K8S_POD_NAMESPACE", env->pod_namespace, sizeof(env->pod_namespace));
	find_arg(args, "K8S_POD_NAME", env->pod_name, sizeof(env->pod_name));
	fits = find_arg(args, "IP", env->args_ip, sizeof(env->args_ip));
	fits = find_arg(args, "MAC", env->args_mac, sizeof(env->args_mac)) && fits;
	/* A request is honoured or refused, but not forgotten. */
	if (fits || env->verb != VERB_ADD)
		return CNI_OK;
	err_set(err, -EINVAL, "CNI_ARGS: IP or MAC is too long");
	return CNI_BAD_ENV;
}

static const char *get_or_empty(env_get_fn *get, const char *name)
{
	const char *value = get(name);

	return value ? value : "";
}

enum cni_code env_load(env_get_fn *get, struct cni_env *ret, struct err *err)
{
	enum cni_code code;

	*ret = (struct cni_env){
		.container_id = get_or_empty(get, "CNI_CONTAINERID"),
		.ifname = get_or_empty(get, "CNI_IFNAME"),
		.netns = get_or_empty(get, "CNI_NETNS"),
		.path = get_or_empty(get, "CNI_PATH"),
	};
	code = find_verb(get_or_empty(get, "CNI_COMMAND"), &ret->verb, err);
	if (!code)
		code = check_missing(ret, err);
	if (!code && verbs[ret->verb].attachment)
		code = check_attachment(ret, err);
	if (!code)
		code = load_args(get_or_empty(get, "CNI_ARGS"), ret, err);
	return code;
}

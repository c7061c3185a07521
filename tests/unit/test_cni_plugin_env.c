/* CNI_* variables: what is required, what is refused, what is tolerated. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "env.h"

struct variable {
	const char *name, *value;
};

static const struct variable *table;

static char *get(const char *name)
{
	for (const struct variable *v = table; v && v->name; v++) {
		if (!strcmp(v->name, name))
			return (char *)v->value;
	}
	return NULL;
}

static enum cni_code load(const struct variable *variables, struct cni_env *env, struct err *err)
{
	table = variables;
	*err = (struct err){0};
	return env_load(get, env, err);
}

static void test_add(void **state)
{
	const struct variable v[] = {{"CNI_COMMAND", "ADD"},
				     {"CNI_CONTAINERID", "c1"},
				     {"CNI_IFNAME", "net1"},
				     {"CNI_NETNS", "/run/netns/a"},
				     {0}};
	struct cni_env env;
	struct err err;

	assert_int_equal(load(v, &env, &err), CNI_OK);
	assert_int_equal(env.verb, VERB_ADD);
	assert_string_equal(env.container_id, "c1");
	assert_string_equal(env.ifname, "net1");
	assert_string_equal(env.netns, "/run/netns/a");
	assert_string_equal(env.pod_uid, "");
}

static void test_missing(void **state)
{
	const struct variable add[] = {{"CNI_COMMAND", "ADD"}, {"CNI_CONTAINERID", ""}, {0}};
	const struct variable del[] = {
		{"CNI_COMMAND", "DEL"}, {"CNI_CONTAINERID", "c1"}, {"CNI_IFNAME", "net1"}, {0}};
	const struct variable version[] = {{"CNI_COMMAND", "VERSION"}, {0}};
	const struct variable status[] = {
		{"CNI_COMMAND", "STATUS"}, {"CNI_IFNAME", "far too long a name"}, {0}};
	struct cni_env env;
	struct err err;

	assert_int_equal(load(add, &env, &err), CNI_BAD_ENV);
	assert_string_equal(err.text, "missing in the environment: CNI_CONTAINERID, CNI_NETNS, "
				      "CNI_IFNAME");
	assert_int_equal(load(del, &env, &err), CNI_OK);
	assert_string_equal(env.netns, "");
	assert_int_equal(load(version, &env, &err), CNI_OK);
	assert_int_equal(load(status, &env, &err), CNI_OK);
	assert_int_equal(load(NULL, &env, &err), CNI_BAD_ENV);
}

static void assert_uid(const char *args, const char *expected)
{
	const struct variable v[] = {{"CNI_COMMAND", "DEL"},
				     {"CNI_CONTAINERID", "c1"},
				     {"CNI_IFNAME", "net1"},
				     {"CNI_ARGS", args},
				     {0}};
	struct cni_env env;
	struct err err;

	assert_int_equal(load(v, &env, &err), CNI_OK);
	assert_string_equal(env.pod_uid, expected);
}

static void test_args(void **state)
{
	assert_uid("", "");
	assert_uid("K8S_POD_UID=u-1", "u-1");
	assert_uid("IgnoreUnknown=1;K8S_POD_NAME=a=b;K8S_POD_UID=u-1", "u-1");
	assert_uid("K8S_POD_UID=u-1;K8S_POD_NAME=x;K8S_POD_UID=u-2", "u-2");
	assert_uid("XK8S_POD_UID=u-1;K8S_POD_UIDX=u-2", "");
	assert_uid("K8S_POD_UID", "");
	assert_uid("K8S_POD_UID=", "");
	assert_uid(";;=;a;K8S_POD_UID=u-1;", "u-1");
	assert_uid("K8S_POD_UID=0123456789012345678901234567890123456789012345678901234567890123",
		   "");
	assert_uid("K8S_POD_UID=012345678901234567890123456789012345678901234567890123456789012",
		   "012345678901234567890123456789012345678901234567890123456789012");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_args),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

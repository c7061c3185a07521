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

/* Which variables each verb cannot do without; what is wrong with the others it does not see. */
static void test_needs(void **state)
{
	static const struct {
		const char *verb, *missing;
	} cases[] = {
		{"ADD", "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"},
		{"CHECK", "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"},
		{"DEL", "CNI_CONTAINERID, CNI_IFNAME"},
		{"GC", NULL},
		{"STATUS", NULL},
		{"VERSION", NULL},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		const struct variable none[] = {{"CNI_COMMAND", cases[i].verb}, {0}};
		const struct variable junk[] = {{"CNI_COMMAND", cases[i].verb},
						{"CNI_CONTAINERID", "../.."},
						{"CNI_IFNAME", "a/b"},
						{"CNI_NETNS", "\xff"},
						{"CNI_PATH", ":"},
						{0}};
		const char *wanted = cases[i].missing;
		struct cni_env env;
		struct err err;

		assert_int_equal(load(none, &env, &err), wanted ? CNI_BAD_ENV : CNI_OK);
		if (wanted)
			assert_string_equal(err.text + strlen("missing in the environment: "),
					    wanted);
		assert_int_equal(load(junk, &env, &err), wanted ? CNI_BAD_ENV : CNI_OK);
		assert_string_equal(env.path, ":");
	}
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

static void load_args(const char *verb, const char *args, enum cni_code code, struct cni_env *env)
{
	const struct variable v[] = {{"CNI_COMMAND", verb},  {"CNI_CONTAINERID", "c1"},
				     {"CNI_IFNAME", "net1"}, {"CNI_NETNS", "/n"},
				     {"CNI_ARGS", args},     {0}};
	struct err err;

	assert_int_equal(load(v, env, &err), code);
}

/* As Multus writes it: everything twice, the values of users in between. */
static void test_requests(void **state)
{
	struct cni_env env;

	load_args("ADD",
		  "IgnoreUnknown=true;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;"
		  "K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u;IP=192.168.50.7,192.168.50.7;"
		  "MAC=c2:b0:57:49:47:f1;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;GATEWAY=x=y;Ip=1",
		  CNI_OK, &env);
	assert_string_equal(env.pod_namespace, "ns");
	assert_string_equal(env.pod_name, "web-0");
	assert_string_equal(env.pod_uid, "u");
	assert_string_equal(env.args_ip, "192.168.50.7,192.168.50.7");
	assert_string_equal(env.args_mac, "c2:b0:57:49:47:f1");
	load_args("ADD", "MAC=;IP=", CNI_OK, &env);
	assert_string_equal(env.args_ip, "");
	assert_string_equal(env.args_mac, "");
	load_args("ADD", "IP=1=2", CNI_OK, &env);
	assert_string_equal(env.args_ip, "1=2");
}

/* A request is honoured or refused, but not forgotten; for DEL it does not matter. */
static void test_requests_too_long(void **state)
{
	char ip[600] = "IP=";
	struct cni_env env;

	memset(ip + 3, '1', 511);
	load_args("ADD", ip, CNI_OK, &env);
	assert_int_equal(strlen(env.args_ip), 511);
	ip[514] = '1';
	load_args("ADD", ip, CNI_BAD_ENV, &env);
	load_args("DEL", ip, CNI_OK, &env);
	load_args("ADD", "MAC=00:11:22:33:44:55:66:77:88:99:aa", CNI_BAD_ENV, &env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),	 cmocka_unit_test(test_needs),
		cmocka_unit_test(test_missing),	 cmocka_unit_test(test_args),
		cmocka_unit_test(test_requests), cmocka_unit_test(test_requests_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

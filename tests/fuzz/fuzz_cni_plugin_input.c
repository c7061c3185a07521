/* All that a runtime gives the CNI plugin: lines of the environment, an empty line, the
 * configuration. What is accepted goes on to routes, sysctls and a result in each version. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "env.h"
#include "mem.h"
#include "netconf.h"
#include "request.h"
#include "result.h"
#include "role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *environment;

/* The value of NAME=VALUE, to be freed at the end of the run. */
static char *values[16];
static size_t n_values;

static char *get(const char *name)
{
	size_t n = strlen(name);

	for (const char *line = environment; *line; line += strcspn(line, "\n") + 1) {
		if (!strncmp(line, name, n) && line[n] == '=' && n_values < array_len(values)) {
			values[n_values] = strndup(line + n + 1, strcspn(line + n + 1, "\n"));
			return values[n_values++];
		}
		if (!line[strcspn(line, "\n")])
			break;
	}
	return NULL;
}

static void use(const struct config_text *text, const struct netconf *c, const struct cni_env *env)
{
	struct err err = {0};
	auto_attachment struct attachment link = {.addr = c->subnet, .mtu = c->mtu};
	auto_result struct result result = {0};
	struct attach_sysctl sysctls[ROLE_SYSCTLS_MAX];

	attach_name(&link, env->container_id, env->ifname);
	role_routes(c, &link);
	role_sysctls((enum cni_role)c->role, env->ifname, sysctls);
	if (result_previous(text, c->version, &result, &err) < 0)
		return;
	result_append(&result, &link, env->netns, &c->vip);
	for (size_t version = 0; version < CNI_VERSIONS; version++) {
		if (result_fits(&result, false, (enum cni_version)version, &err) == 0)
			free(result_format(&result, (enum cni_version)version));
	}
}

/* `env` is NULL where there is nothing to attach. */
static void parse(const char *json, size_t len, const struct cni_env *env)
{
	auto_config_text struct config_text text = {0};
	auto_netconf struct netconf c = {0}, names = {0};
	struct err err = {0};

	if (netconf_parse(json, len, &text, &err) == CNI_OK) {
		netconf_load_names(&text, &names);
		if (env && netconf_load(&text, &c, &err) == CNI_OK &&
		    request_complete(&c, env, &err) == CNI_OK)
			use(&text, &c, env);
	}
	if (err.code)
		free(result_error(CNI_VERSION_NEWEST, CNI_BAD_CONFIG, err.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *s = xcalloc(size + 1, 1);
	struct cni_env env = {0};
	struct err err = {0};
	enum cni_code code;
	char *blank;

	memcpy(s, data, size);
	blank = memmem(s, size, "\n\n", 2);
	if (!blank)
		return 0;
	*blank = '\0';
	environment = s;
	code = env_load(get, &env, &err);
	if (code)
		free(result_error(CNI_VERSION_NEWEST, code, err.text));
	parse(blank + 2, size - (size_t)(blank + 2 - s),
	      !code && env.verb == VERB_ADD ? &env : NULL);
	while (n_values)
		free(values[--n_values]);
	return 0;
}

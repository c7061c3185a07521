/* byway, the CNI plugin: the CNI specification's process contract. Configuration on standard input,
 * parameters in the environment, the result or the error as one JSON document on standard output.
 * Exit status 0; 2 where the caller's input is to blame and nothing was changed; 1 for all else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni_log.h"
#include "env.h"
#include "mem.h"
#include "netconf.h"
#include "result.h"
#include "version.h"

enum { EXIT_INPUT = 2 };

/* Everything on standard input, terminated. */
static enum cni_code read_input(char **ret, size_t *len, struct err *err)
{
	auto_free char *buf = NULL;
	size_t used = 0, cap = 0;
	ssize_t n;

	do {
		if (cap - used < 2) {
			cap = cap ? 2 * cap : 4096;
			buf = xreallocarray(buf, cap, 1);
		}
		n = read(STDIN_FILENO, buf + used, cap - used - 1);
		if (n < 0 && errno != EINTR) {
			err_errno(err, -errno, "standard input");
			return CNI_IO;
		}
		used += n > 0 ? (size_t)n : 0;
		if (used > CONFIG_FILE_MAX) {
			err_set(err, -EFBIG, "stdin:1: larger than %u bytes", CONFIG_FILE_MAX);
			return CNI_BAD_JSON;
		}
	} while (n != 0);
	buf[used] = '\0';
	*ret = steal_ptr(buf);
	*len = used;
	return CNI_OK;
}

static enum cni_code print_versions(enum cni_version version, struct err *err)
{
	auto_free char *text = result_versions(version);

	return result_write(text, err) < 0 ? CNI_IO : CNI_OK;
}

/* VERSION is asked before anything else is known: no input, or none that can be read, is no error.
 */
static enum cni_code run_version(struct err *err)
{
	auto_config_text struct config_text text = {0};
	enum cni_version version = CNI_VERSION_NEWEST;
	auto_free char *input = NULL;
	struct err ignored = {0};
	size_t len;

	if (!read_input(&input, &len, &ignored) && !netconf_parse(input, len, &text, &ignored) &&
	    json_object_get(text.root, "cniVersion"))
		netconf_version(&text, &version, &ignored);
	return print_versions(version, err);
}

static enum cni_code run_verb(const struct cni_env *env, const struct config_text *text,
			      struct err *err)
{
	switch (env->verb) {
	case VERB_ADD:
		return cni_add(env, text, err);
	case VERB_DEL:
		return cni_del(env, text, err);
	case VERB_CHECK:
		return cni_check(env, text, err);
	case VERB_GC:
		return cni_gc(env, text, err);
	case VERB_STATUS:
		return cni_status(env, text, err);
	case VERB_VERSION:
		break;
	}
	return CNI_OK;
}

/* `version` is that of the configuration as soon as it is known. */
static enum cni_code run_parsed(const struct cni_env *env, const struct config_text *text,
				enum cni_version *version, struct err *err)
{
	enum cni_code code = netconf_version(text, version, err);

	/* An attachment must go away in whatever version it is asked for. */
	if (code && !(code == CNI_BAD_VERSION && env->verb == VERB_DEL))
		return code;
	return run_verb(env, text, err);
}

static enum cni_code run(enum cni_version *version, struct err *err)
{
	auto_config_text struct config_text text = {0};
	auto_cni_log struct cni_log log = cni_log_begin();
	auto_free char *input = NULL;
	struct cni_env env;
	enum cni_code code = env_load(getenv, &env, err);
	size_t len = 0;

	if (code)
		return code;
	if (env.verb == VERB_VERSION)
		return run_version(err);
	code = read_input(&input, &len, err);
	if (!code)
		code = netconf_parse(input, len, &text, err);
	if (code)
		return code;
	cni_log_open(&log, &env, &text);
	code = run_parsed(&env, &text, version, err);
	cni_log_end(&log, &env, code, err);
	return code;
}

static int exit_status(enum cni_code code)
{
	switch (code) {
	case CNI_OK:
		return EXIT_SUCCESS;
	case CNI_BAD_VERSION:
	case CNI_UNSUPPORTED:
	case CNI_BAD_ENV:
	case CNI_BAD_JSON:
	case CNI_BAD_CONFIG:
		return EXIT_INPUT;
	default:
		return EXIT_FAILURE;
	}
}

/* Whoever starts us without standard descriptors gets its own mistake back as EBADF: none of the
 * files opened from here on shall be taken for standard output. */
static void reserve_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* jansson would read its own seed from /dev/urandom, which can take a tenth of an ADD; the kernel has
 * given random bytes to the process already (getauxval(3)). */
static void seed_json(void)
{
	size_t seed = 0;

	memcpy(&seed, (const void *)getauxval(AT_RANDOM), sizeof(seed)); // NOLINT: an address
	json_object_seed(seed | 1);
}

int main(void)
{
	enum cni_version version = CNI_VERSION_NEWEST;
	const char *command = getenv("CNI_COMMAND");
	struct err err = {0}, ignored = {0};
	auto_free char *text = NULL;
	enum cni_code code;

	if (!command || !*command) {
		fprintf(stderr, "CNI plugin byway %s, CNI versions %s to %s\n", BYWAY_VERSION,
			cni_version_names[0], cni_version_names[CNI_VERSION_NEWEST]);
		return EXIT_SUCCESS;
	}
	reserve_standard_descriptors();
	/* A runtime that went away is a write error, to be rolled back like others. */
	signal(SIGPIPE, SIG_IGN);
	seed_json();
	code = run(&version, &err);
	if (!code)
		return EXIT_SUCCESS;
	text = result_error(version, code, err.text);
	result_write(text, &ignored);
	return exit_status(code);
}

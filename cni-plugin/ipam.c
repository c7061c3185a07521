#include "ipam.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "child.h"
#include "cleanup.h"
#include "mem.h"

/* Runtimes give up after one to two minutes, and a failed ADD is followed by a DEL. */
#define PATIENCE_MS 50000

/* --- which program --- */

/* What `path` leads to; `ret` stays as it was where that is not a file. */
static bool is_file(const char *path, struct stat *ret)
{
	return stat(path, ret) == 0 && S_ISREG(ret->st_mode);
}

static bool is_ourselves(const struct stat *st)
{
	struct stat own;

	return stat("/proc/self/exe", &own) == 0 && own.st_dev == st->st_dev &&
	       own.st_ino == st->st_ino;
}

/* The first file of that name in the directories of CNI_PATH; *ret is owned by the caller. */
static enum cni_code find_plugin(const char *dirs, const char *type, char **ret, struct err *err)
{
	auto_free char *file = NULL;
	struct stat st;

	if (!*dirs) {
		err_set(err, -EINVAL, "missing in the environment: CNI_PATH");
		return CNI_BAD_ENV;
	}
	for (const char *p = dirs; *p; p += strcspn(p, ":"), p += *p == ':') {
		int n = (int)strcspn(p, ":");

		free(steal_ptr(file));
		file = xasprintf("%.*s/%s", n, p, type);
		if (!n || !is_file(file, &st))
			continue;
		if (is_ourselves(&st)) {
			err_set(err, -ELOOP, "%s is this plugin, which has no such part", file);
			return CNI_BAD_CONFIG;
		}
		*ret = steal_ptr(file);
		return CNI_OK;
	}
	err_set(err, -ENOENT, "not found in CNI_PATH (%s)", dirs);
	return CNI_BAD_CONFIG;
}

/* --- how it is called --- */

/* Our environment with another CNI_COMMAND, `command`; all strings are borrowed, the array is owned
 * by the caller. */
static char **environment(char *command)
{
	static const char name[] = "CNI_COMMAND=";
	size_t n = 0, used = 0;
	char **ret;

	while (environ[n])
		n++;
	ret = xcalloc(n + 2, sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], name, strlen(name)) != 0)
			ret[used++] = environ[i];
	}
	ret[used] = command;
	return ret;
}

/* `ret` is NULL where no result is wanted. */
static enum cni_code judge(const struct child_end *end, const struct netconf *conf,
			   struct result *ret, struct err *err)
{
	if (WIFSIGNALED(end->status)) {
		err_set(err, -EREMOTEIO, "killed by signal %d", WTERMSIG(end->status));
		return CNI_IO;
	}
	if (WEXITSTATUS(end->status))
		return ipam_decode_error(end->output, end->len, err);
	if (ret && ipam_decode_result(end->output, end->len, conf->version, ret, err) < 0)
		return CNI_BAD_JSON;
	return CNI_OK;
}

static enum cni_code run(const struct cni_env *env, const struct netconf *conf, const char *command,
			 const struct config_text *text, struct result *ret, struct err *err)
{
	auto_free char *variable = xasprintf("CNI_COMMAND=%s", command);
	auto_free char **envp = environment(variable);
	auto_child_end struct child_end end = {0};
	auto_free char *file = NULL;
	enum cni_code code = find_plugin(env->path, conf->ipam_type, &file, err);

	if (code)
		return code;
	if (child_run(file, envp, text->text, PATIENCE_MS, &end, err) < 0)
		return CNI_IO;
	return judge(&end, conf, ret, err);
}

static enum cni_code delegate(const struct cni_env *env, const struct netconf *conf,
			      const char *command, const struct config_text *text,
			      struct result *ret, struct err *err)
{
	enum cni_code code;

	if (!conf->ipam_type)
		return CNI_OK;
	code = run(env, conf, command, text, ret, err);
	if (code)
		err_wrap(err, "ipam %s", conf->ipam_type);
	return code;
}

enum cni_code ipam_add(const struct cni_env *env, const struct netconf *conf,
		       const struct config_text *text, struct result *ret, struct err *err)
{
	enum cni_code code = delegate(env, conf, "ADD", text, ret, err);
	struct err ignored = {0};

	if (code)
		ipam_del(env, conf, text, &ignored);
	return code;
}

enum cni_code ipam_del(const struct cni_env *env, const struct netconf *conf,
		       const struct config_text *text, struct err *err)
{
	return delegate(env, conf, "DEL", text, NULL, err);
}

enum cni_code ipam_check(const struct cni_env *env, const struct netconf *conf,
			 const struct config_text *text, struct err *err)
{
	return delegate(env, conf, "CHECK", text, NULL, err);
}

enum cni_code ipam_gc(const struct cni_env *env, const struct netconf *conf,
		      const struct config_text *text, struct err *err)
{
	return delegate(env, conf, "GC", text, NULL, err);
}

enum cni_code ipam_status(const struct cni_env *env, const struct netconf *conf,
			  const struct config_text *text, struct err *err)
{
	return delegate(env, conf, "STATUS", text, NULL, err);
}

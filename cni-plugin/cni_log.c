#include "cni_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "netconf.h"
#include "strbuf.h"

struct cni_log cni_log_begin(void)
{
	struct cni_log log = {.fd = -1};

	clock_gettime(CLOCK_MONOTONIC, &log.began);
	return log;
}

/* Does the file lead to standard output (/dev/stdout, /proc/self/fd/1)? There the result goes. */
static bool is_stdout(int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(STDOUT_FILENO, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Appending makes the lines of parallel commands follow each other; O_NONBLOCK is for a pipe that
 * nobody reads. */
static int open_file(const char *path)
{
	auto_close int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

	return fd < 0 || is_stdout(fd) ? -1 : steal_fd(&fd);
}

/* " key=value", nothing where the value is empty. */
static void add(struct strbuf *b, const char *key, const char *value)
{
	char text[512];

	if (*value)
		strbuf_add(b, " %s=%s", key, log_value(value, text, sizeof(text)));
}

/* A line about the command; `more` is what stands behind what every such line has. */
static void tell(const struct cni_log *log, const struct cni_env *env, enum log_level level,
		 const char *msg, const char *more)
{
	auto_strbuf struct strbuf b = {0};
	char container[13];

	snprintf(container, sizeof(container), "%s", env->container_id);
	strbuf_add(&b, "command=%s", env_verb_name(env->verb));
	add(&b, "network", log->network);
	add(&b, "container", container);
	add(&b, "interface", env->ifname);
	add(&b, "pod_namespace", env->pod_namespace);
	add(&b, "pod", env->pod_name);
	log_line(level, msg, "%s%s", strbuf_text(&b), more);
}

void cni_log_open(struct cni_log *log, const struct cni_env *env, const struct config_text *text)
{
	auto_netconf struct netconf conf = {0};

	netconf_load_names(text, &conf);
	if (conf.log_file)
		log->fd = open_file(conf.log_file);
	if (conf.network)
		snprintf(log->network, sizeof(log->network), "%s", conf.network);
	log_set_level((enum log_level)conf.log_level);
	log_set_output(log->fd);
	tell(log, env, LOG_LEVEL_DEBUG, "begins", "");
}

static double elapsed_ms(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - began->tv_nsec) / 1e6;
}

void cni_log_end(const struct cni_log *log, const struct cni_env *env, enum cni_code code,
		 const struct err *err)
{
	auto_strbuf struct strbuf b = {0};

	strbuf_add(&b, " code=%d took_ms=%.1f", code, elapsed_ms(&log->began));
	if (code)
		add(&b, "error", err->text);
	tell(log, env, code ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, code ? "failed" : "done",
	     strbuf_text(&b));
}

void cni_log_close(struct cni_log *log)
{
	log_set_output(-1);
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

#include "ha.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "flowsync.h"
#include "mem.h"
#include "net.h"
#include "notify.h"
#include "supervise.h"

/* From SIGTERM to SIGKILL. keepalived says good-bye for every holding and waits a second itself. */
#define STOP_PATIENCE_MS 3000
/* conntrackd reads the table anew this long after a promotion, out of the way of the gate's
 * opening. */
#define RESYNC_DELAY_S 1

struct ha {
	struct event_base *base;
	char *dir;
	struct ha_config config; /* arrays owned */
	struct ha_callbacks callbacks;
	enum ha_state *states; /* by holding, as keepalived says */
	bool *promoted;	       /* by holding, as the agent was told */
	struct event *settle;  /* tells the agent */
	struct net *net;
	struct notify *notify;
	struct child *keepalived, *conntrackd;
	struct flowsync *flowsync;
	struct event *resync; /* timer */
	struct event *linger; /* timer */
	unsigned int linger_ms;
	bool stopping;
	void (*done)(void *data);
	void *done_data;
};

static char *ha_path(const struct ha *ha, const char *name)
{
	return xasprintf("%s/%s", ha->dir, name);
}

/* --- files --- */

static int dir_ensure(const char *dir, struct err *err)
{
	auto_free char *path = xstrdup(dir);

	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_errno(err, -errno, "%s", path);
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "%s", path);
	return 0;
}

/* By rename: a daemon that starts meanwhile reads the old file or the new one. */
static int file_write(const struct ha *ha, const char *name, const char *text, struct err *err)
{
	auto_free char *path = ha_path(ha, name);
	auto_free char *new = xasprintf("%s.new", path);
	size_t n = strlen(text);
	auto_close int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || rename(new, path) < 0)
		return err_errno(err, errno ? -errno : -EIO, "%s", path);
	return 0;
}

static void file_remove(const struct ha *ha, const char *name)
{
	auto_free char *path = ha_path(ha, name);

	unlink(path);
}

/* --- holdings --- */

/* keepalived takes its addresses away when it ends in order; killed, it leaves them. Two members
 * with one address is what must not be. */
static void addresses_remove(struct ha *ha)
{
	auto_plan struct plan plan = {0};
	struct err err;

	plan.n = plan.cap = ha->config.n_holdings;
	plan.steps = xcalloc(plan.n, sizeof(*plan.steps));
	for (size_t i = 0; i < plan.n; i++) {
		const struct ha_holding *holding = &ha->config.holdings[i];
		struct plan_step *step = &plan.steps[i];

		step->verdict = VERDICT_DELETE;
		step->object.kind = OBJECT_ADDRESS;
		memcpy(step->object.address.dev, holding->dev, sizeof(holding->dev));
		step->object.address.prefix = prefix_host(&holding->addr);
	}
	/* Not there, or its device not there, is as good. */
	net_apply(ha->net, &plan, NULL, NULL, &err);
}

static void ha_notified(const char *instance, enum ha_state state, void *data)
{
	struct ha *ha = data;

	for (size_t i = 0; i < ha->config.n_holdings; i++) {
		if (strcmp(ha->config.holdings[i].name, instance) != 0)
			continue;
		if (state != HA_CONTESTED)
			ha->states[i] = state;
		else if (ha->callbacks.contested)
			ha->callbacks.contested(i, ha->callbacks.data);
	}
	event_active(ha->settle, EV_TIMEOUT, 0);
}

/* Runs when all that was in the fifo has been read: an election that was won and lost meanwhile
 * opens no gate. */
static void ha_settle(evutil_socket_t fd, short what, void *data)
{
	static const struct timeval resync_delay = {.tv_sec = RESYNC_DELAY_S};
	struct ha *ha = data;

	for (size_t i = 0; i < ha->config.n_holdings && !ha->stopping; i++) {
		bool promoted = ha->states[i] == HA_MASTER;

		if (promoted == ha->promoted[i])
			continue;
		ha->promoted[i] = promoted;
		if (promoted) {
			event_add(ha->resync, &resync_delay);
			ha->callbacks.promoted(i, ha->callbacks.data);
		} else {
			ha->callbacks.demoted(i, ha->callbacks.data);
		}
	}
}

static void ha_resync(evutil_socket_t fd, short what, void *data)
{
	struct ha *ha = data;

	(void)fd, (void)what;
	flowsync_resync(ha->flowsync);
}

/* --- keepalived --- */

static int notify_renew(struct ha *ha, struct err *err)
{
	auto_free char *fifo = ha_path(ha, "notify");

	notify_close(ha->notify);
	ha->notify = NULL;
	return notify_open(ha->base, fifo, ha_notified, ha, &ha->notify, err);
}

static void daemon_clear(struct ha *ha, const char *conf, const char *const *files, size_t n)
{
	auto_free char *path = ha_path(ha, conf);

	child_end_leftovers(path);
	for (size_t i = 0; i < n; i++)
		file_remove(ha, files[i]);
}

/* keepalived refuses to start while the process of its pid file lives. */
static void keepalived_prepare(void *data)
{
	static const char *const files[] = {"keepalived.pid", "vrrp.pid"};
	struct ha *ha = data;
	struct err err;

	daemon_clear(ha, "keepalived.conf", files, array_len(files));
	addresses_remove(ha);
	/* Without a fifo keepalived makes its own, and nobody is ever promoted: the gate stays
	 * shut. */
	if (notify_renew(ha, &err) < 0)
		ha->notify = NULL;
}

static void keepalived_ended(struct child *child, int status, unsigned int retry_ms, void *data)
{
	struct ha *ha = data;

	(void)child;
	for (size_t i = 0; i < ha->config.n_holdings; i++) {
		ha->states[i] = HA_INIT;
		ha->promoted[i] = false;
		ha->callbacks.demoted(i, ha->callbacks.data);
	}
	addresses_remove(ha);
	if (ha->callbacks.daemon_ended)
		ha->callbacks.daemon_ended("keepalived", status, retry_ms, ha->callbacks.data);
}

/* -P: VRRP only; -n: in the foreground; -l: log here; -R: when its VRRP process dies, it ends, so
 * that there is one supervisor, us. */
static int keepalived_start(struct ha *ha, struct err *err)
{
	auto_free char *conf = ha_path(ha, "keepalived.conf");
	auto_free char *pid = ha_path(ha, "keepalived.pid");
	auto_free char *vrrp_pid = ha_path(ha, "vrrp.pid");
	const char *const argv[] = {"keepalived", "-P", "-n", "-l", "-R",     "-f",
				    conf,	  "-p", pid,  "-r", vrrp_pid, NULL};
	const struct child_spec spec = {"keepalived", argv, keepalived_ended, keepalived_prepare,
					ha};

	keepalived_prepare(ha);
	if (!ha->notify)
		return notify_renew(ha, err);
	return child_start(ha->base, &spec, &ha->keepalived, err);
}

/* --- conntrackd --- */

static void conntrackd_prepare(void *data)
{
	static const char *const files[] = {"conntrackd.lock", "conntrackd.ctl"};

	daemon_clear(data, "conntrackd.conf", files, array_len(files));
}

static void conntrackd_ended(struct child *child, int status, unsigned int retry_ms, void *data)
{
	struct ha *ha = data;

	(void)child;
	if (ha->callbacks.daemon_ended)
		ha->callbacks.daemon_ended("conntrackd", status, retry_ms, ha->callbacks.data);
}

/* Without -d it stays in the foreground and logs here. */
static int conntrackd_start(struct ha *ha, struct err *err)
{
	auto_free char *conf = ha_path(ha, "conntrackd.conf");
	auto_free char *socket = ha_path(ha, "conntrackd.ctl");
	const char *const argv[] = {"conntrackd", "-C", conf, NULL};
	const struct child_spec spec = {"conntrackd", argv, conntrackd_ended, conntrackd_prepare,
					ha};

	conntrackd_prepare(ha);
	ha->flowsync = flowsync_new(ha->base, socket);
	return child_start(ha->base, &spec, &ha->conntrackd, err);
}

/* --- life --- */

static void stop_finished(void *data)
{
	struct ha *ha = data;

	ha->done(ha->done_data);
}

static void linger_over(evutil_socket_t fd, short what, void *data)
{
	struct ha *ha = data;

	(void)fd, (void)what;
	child_stop(ha->conntrackd, STOP_PATIENCE_MS, stop_finished, ha);
}

static void keepalived_stopped(void *data)
{
	struct ha *ha = data;
	struct timeval linger = {.tv_sec = ha->linger_ms / 1000,
				 .tv_usec = (suseconds_t)(ha->linger_ms % 1000) * 1000};

	addresses_remove(ha);
	event_add(ha->linger, &linger);
}

void ha_stop(struct ha *ha, unsigned int linger_ms, void (*done)(void *data), void *data)
{
	ha->stopping = true;
	ha->linger_ms = linger_ms;
	ha->done = done;
	ha->done_data = data;
	event_del(ha->resync);
	child_stop(ha->keepalived, STOP_PATIENCE_MS, keepalived_stopped, ha);
}

static struct ha *ha_new(struct event_base *base, const char *dir, const struct ha_config *config,
			 const struct ha_callbacks *callbacks)
{
	struct ha *ha = xcalloc(1, sizeof(*ha));
	struct ha_holding *holdings = xcalloc(config->n_holdings, sizeof(*holdings));
	struct addr *ignore = xcalloc(config->n_ignore, sizeof(*ignore));

	*ha = (struct ha){
		.base = base, .dir = xstrdup(dir), .config = *config, .callbacks = *callbacks};
	if (config->n_holdings)
		memcpy(holdings, config->holdings, config->n_holdings * sizeof(*holdings));
	if (config->n_ignore)
		memcpy(ignore, config->ignore, config->n_ignore * sizeof(*ignore));
	ha->config.holdings = holdings;
	ha->config.ignore = ignore;
	ha->states = xcalloc(config->n_holdings, sizeof(*ha->states));
	ha->promoted = xcalloc(config->n_holdings, sizeof(*ha->promoted));
	ha->settle = evtimer_new(base, ha_settle, ha);
	ha->resync = evtimer_new(base, ha_resync, ha);
	ha->linger = evtimer_new(base, linger_over, ha);
	return ha;
}

static int ha_configure(struct ha *ha, struct err *err)
{
	auto_strbuf struct strbuf keepalived = {0}, conntrackd = {0};
	auto_free char *fifo = ha_path(ha, "notify");
	int r = dir_ensure(ha->dir, err);

	if (r < 0)
		return r;
	ha_keepalived_conf(&ha->config, fifo, &keepalived);
	ha_conntrackd_conf(&ha->config, ha->dir, &conntrackd);
	r = file_write(ha, "keepalived.conf", strbuf_text(&keepalived), err);
	return r < 0 ? r : file_write(ha, "conntrackd.conf", strbuf_text(&conntrackd), err);
}

/* conntrackd first: its peer's flows should be here when this member may be elected. */
static int ha_run(struct ha *ha, struct err *err)
{
	int r = net_open(NULL, &ha->net, err);

	if (r >= 0)
		r = ha_configure(ha, err);
	if (r >= 0)
		r = conntrackd_start(ha, err);
	return r < 0 ? r : keepalived_start(ha, err);
}

int ha_start(struct event_base *base, const char *dir, const struct ha_config *config,
	     const struct ha_callbacks *callbacks, struct ha **ret, struct err *err)
{
	struct ha *ha = ha_new(base, dir, config, callbacks);
	int r = ha_run(ha, err);

	if (r < 0) {
		ha_free(ha);
		return r;
	}
	*ret = ha;
	return 0;
}

enum ha_state ha_holding_state(const struct ha *ha, size_t index)
{
	return ha->states[index];
}

bool ha_in_sync(const struct ha *ha)
{
	return child_running(ha->conntrackd) && flowsync_in_sync(ha->flowsync);
}

void ha_free(struct ha *ha)
{
	if (!ha)
		return;
	child_free(ha->keepalived);
	child_free(ha->conntrackd);
	notify_close(ha->notify);
	flowsync_free(ha->flowsync);
	event_free(ha->settle);
	event_free(ha->resync);
	event_free(ha->linger);
	if (ha->net)
		net_close(ha->net);
	free(ha->states);
	free(ha->promoted);
	free((void *)ha->config.holdings);
	free((void *)ha->config.ignore);
	free(ha->dir);
	free(ha);
}

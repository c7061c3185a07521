/* Theory of operation
 *
 * A child's end is an event on its pidfd, so that one loop serves any number of children and nobody
 * has to own SIGCHLD. A child gets a process group of its own: Ctrl-C on a terminal reaches the
 * agent alone, which then stops its children in order. Whether the program could be executed comes
 * back through a pipe that a successful exec closes.
 */
#include "supervise.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
/* Having lived this long, a child starts with the shortest backoff again. */
#define STEADY_S 10
/* child_free() and leftovers: from SIGTERM to SIGKILL. */
#define FREE_PATIENCE_MS 500

struct child {
	struct event_base *base;
	struct child_spec spec;
	char **argv; /* NULL-terminated, owned */
	pid_t pid;   /* 0 while not running */
	int pidfd;
	struct event *ended;  /* on pidfd */
	struct event *retry;  /* timer: start again */
	struct event *giveup; /* timer: SIGKILL */
	struct timespec started;
	unsigned int retry_ms;
	unsigned int restarts;
	void (*stopped)(void *data);
	void *stopped_data;
	bool stopping;
};

static void child_ended(evutil_socket_t fd, short what, void *data);

static struct timeval timeval_ms(unsigned int ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

/* In the child. Only async-signal-safe calls. */
static _Noreturn void child_exec(char *const *argv, pid_t parent, int report)
{
	static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM};
	sigset_t none;
	int e;

	for (size_t i = 0; i < array_len(ignored); i++)
		signal(ignored[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* The parent may have died before prctl(): then nobody will tell us. */
	if (getppid() == parent)
		execvp(argv[0], argv);
	e = errno;
	if (write(report, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

/* Returns the errno of a failed exec, 0 when the pipe was closed by a good one. */
static int exec_errno(int fd)
{
	int e = 0;
	ssize_t n;

	do {
		n = read(fd, &e, sizeof(e));
	} while (n < 0 && errno == EINTR);
	return n == sizeof(e) ? e : 0;
}

static int child_spawn(struct child *child, struct err *err)
{
	int pipe_fds[2];
	pid_t parent = getpid();
	int e;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, -errno, "%s: pipe", child->spec.name);
	auto_close int report_read = pipe_fds[0];
	auto_close int report_write = pipe_fds[1];

	child->pid = fork();
	if (child->pid < 0) {
		child->pid = 0;
		return err_errno(err, -errno, "%s: fork", child->spec.name);
	}
	if (!child->pid)
		child_exec(child->argv, parent, report_write);
	close(steal_fd(&report_write));
	e = exec_errno(report_read);
	child->pidfd = e ? -1 : pidfd_open(child->pid, 0);
	if (child->pidfd < 0) {
		e = e ? e : errno;
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
		child->pid = 0;
		return err_errno(err, -e, "%s", child->argv[0]);
	}
	clock_gettime(CLOCK_MONOTONIC, &child->started);
	child->ended = event_new(child->base, child->pidfd, EV_READ, child_ended, child);
	event_add(child->ended, NULL);
	return 0;
}

/* Reaps. Returns the exit code or -SIGNAL. */
static int child_reap(struct child *child)
{
	siginfo_t info = {0};

	waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED);
	event_free(child->ended);
	child->ended = NULL;
	close(child->pidfd);
	child->pidfd = -1;
	child->pid = 0;
	return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

static void child_retry_later(struct child *child, int status)
{
	struct timeval delay;

	child->restarts++;
	delay = timeval_ms(child->retry_ms);
	event_add(child->retry, &delay);
	if (child->spec.ended)
		child->spec.ended(child, status, child->retry_ms, child->spec.data);
	child->retry_ms *= 2;
	if (child->retry_ms > RETRY_MAX_MS)
		child->retry_ms = RETRY_MAX_MS;
}

static void child_retry(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;
	struct err err;

	(void)fd, (void)what;
	if (child->spec.prepare)
		child->spec.prepare(child->spec.data);
	if (child_spawn(child, &err) < 0)
		child_retry_later(child, 127);
}

static void child_ended(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;
	struct timespec now;
	int status = child_reap(child);

	(void)fd, (void)what;
	if (child->stopping) {
		event_del(child->giveup);
		child->stopped(child->stopped_data);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - child->started.tv_sec >= STEADY_S)
		child->retry_ms = RETRY_MIN_MS;
	child_retry_later(child, status);
}

static void child_giveup(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;

	(void)fd, (void)what;
	if (child->pid)
		pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
}

static char **argv_copy(const char *const *argv)
{
	size_t n = 0;
	char **copy;

	while (argv[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(argv[i]);
	return copy;
}

int child_start(struct event_base *base, const struct child_spec *spec, struct child **ret,
		struct err *err)
{
	struct child *child = xcalloc(1, sizeof(*child));
	int r;

	*child = (struct child){.base = base, .spec = *spec, .pidfd = -1, .retry_ms = RETRY_MIN_MS};
	child->argv = argv_copy(spec->argv);
	child->spec.argv = NULL;
	child->retry = evtimer_new(base, child_retry, child);
	child->giveup = evtimer_new(base, child_giveup, child);
	r = child_spawn(child, err);
	if (r < 0) {
		child_free(child);
		return r;
	}
	*ret = child;
	return 0;
}

bool child_running(const struct child *child)
{
	return child->pid;
}

unsigned int child_restarts(const struct child *child)
{
	return child->restarts;
}

void child_stop(struct child *child, unsigned int patience_ms, void (*done)(void *data), void *data)
{
	struct timeval patience = timeval_ms(patience_ms);

	child->stopping = true;
	child->stopped = done;
	child->stopped_data = data;
	event_del(child->retry);
	if (!child->pid) {
		done(data);
		return;
	}
	pidfd_send_signal(child->pidfd, SIGTERM, NULL, 0);
	event_add(child->giveup, &patience);
}

/* SIGTERM, and SIGKILL where that is not enough; returns when the process has ended. */
static void pidfd_end(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	pidfd_send_signal(pidfd, SIGTERM, NULL, 0);
	if (poll(&ended, 1, FREE_PATIENCE_MS) == 1)
		return;
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	poll(&ended, 1, FREE_PATIENCE_MS);
}

void child_free(struct child *child)
{
	if (!child)
		return;
	if (child->pid) {
		pidfd_end(child->pidfd);
		child_reap(child);
	}
	event_free(child->retry);
	event_free(child->giveup);
	for (size_t i = 0; child->argv[i]; i++)
		free(child->argv[i]);
	free(child->argv);
	free(child);
}

/* --- leftovers --- */

static bool has_argument(const char *pid, const char *arg)
{
	char path[64], text[4096];
	auto_close int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (const char *p = text; p < text + n; p += strlen(p) + 1) {
		if (!strcmp(p, arg))
			return true;
	}
	return false;
}

void child_end_leftovers(const char *arg)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		auto_close int pidfd = -1;
		long pid = strtol(entry->d_name, NULL, 10);

		if (!isdigit((unsigned char)entry->d_name[0]) || pid == getpid())
			continue;
		pidfd = has_argument(entry->d_name, arg) ? pidfd_open((pid_t)pid, 0) : -1;
		/* Looked at again: the number may have gone to another process in between. */
		if (pidfd >= 0 && has_argument(entry->d_name, arg))
			pidfd_end(pidfd);
	}
	if (proc)
		closedir(proc);
}

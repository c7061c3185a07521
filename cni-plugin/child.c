/* Theory of operation
 *
 * The input is a file in memory, so that nobody has to feed the child while it writes; the output a
 * pipe. The child is over when its output has ended and it has exited, both waited for in one
 * poll(): one that closes its output and hangs is as late as one that never answers, and is killed
 * alike. posix_spawn() makes it without copying anything of ours.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"
#include "mem.h"

#define READ_SIZE 4096

struct child {
	pid_t pid;  /* 0: none, or waited for */
	int exited; /* readable when it has */
	int output; /* -1: at its end */
	char *text; /* terminated */
	size_t len;
};

static void child_clear(struct child *c)
{
	if (c->pid) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	cleanup_close(&c->exited);
	cleanup_close(&c->output);
	free(c->text);
}
#define auto_child __attribute__((cleanup(child_clear)))

void child_end_clear(struct child_end *end)
{
	free(end->output);
}

static int input_file(const char *input, int *ret, struct err *err)
{
	auto_close int fd = memfd_create("input", MFD_CLOEXEC);
	size_t len = strlen(input);

	if (fd < 0 || write(fd, input, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, -errno, "a file in memory");
	*ret = steal_fd(&fd);
	return 0;
}

/* `input` and `output` become its standard ones. */
static int spawn(const char *file, char *const envp[], int input, int output, pid_t *ret)
{
	char *argv[] = {(char *)file, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int r;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE); /* main() ignores it */
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	r = posix_spawn(ret, file, &actions, &attr, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -r;
}

static int child_start(struct child *c, const char *file, char *const envp[], const char *input,
		       struct err *err)
{
	auto_close int read_end = -1, write_end = -1;
	int ends[2], r = input_file(input, &read_end, err);

	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, -errno, "pipe");
	c->output = ends[0];
	write_end = ends[1];
	/* A runtime that ignores it has us ignore it, and then nobody can be waited for. */
	signal(SIGCHLD, SIG_DFL);
	r = spawn(file, envp, read_end, write_end, &c->pid);
	if (r < 0) {
		c->pid = 0;
		return err_errno(err, r, "%s", file);
	}
	c->exited = pidfd_open(c->pid, 0);
	return c->exited < 0 ? err_errno(err, -errno, "pidfd") : 0;
}

/* Takes what is there of the output. */
static int child_read(struct child *c, struct err *err)
{
	ssize_t n;

	c->text = xreallocarray(c->text, c->len + READ_SIZE + 1, 1);
	n = read(c->output, c->text + c->len, READ_SIZE);
	if (n < 0)
		return errno == EINTR ? 0 : err_errno(err, -errno, "its output");
	if (n == 0) {
		close(steal_fd(&c->output));
		return 0;
	}
	if (c->len + (size_t)n > CHILD_OUTPUT_MAX)
		return err_set(err, -EFBIG, "its output is longer than %u bytes", CHILD_OUTPUT_MAX);
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until its output has ended and it has exited. */
static int child_wait(struct child *c, int patience_ms, int *status, struct err *err)
{
	const int64_t deadline = now_ms() + patience_ms;
	bool running = true;

	while (running || c->output >= 0) {
		struct pollfd fds[] = {
			{.fd = c->output, .events = POLLIN},
			{.fd = running ? c->exited : -1, .events = POLLIN},
		};
		int64_t left = deadline - now_ms();
		int r = left > 0 ? poll(fds, array_len(fds), (int)left) : 0;

		if (r == 0)
			return err_set(err, -ETIMEDOUT, "no answer within %d ms", patience_ms);
		if (r < 0)
			continue; /* EINTR: fds say nothing */
		if (fds[0].revents && (r = child_read(c, err)) < 0)
			return r;
		if (fds[1].revents)
			running = false;
	}
	waitpid(c->pid, status, 0);
	c->pid = 0;
	return 0;
}

int child_run(const char *file, char *const envp[], const char *input, int patience_ms,
	      struct child_end *ret, struct err *err)
{
	auto_child struct child c = {.exited = -1, .output = -1};
	int status = 0, r;

	c.text = xcalloc(1, 1);
	r = child_start(&c, file, envp, input, err);
	if (r == 0)
		r = child_wait(&c, patience_ms, &status, err);
	if (r < 0)
		return r;
	ret->status = status;
	ret->output = steal_ptr(c.text);
	ret->len = c.len;
	return 0;
}

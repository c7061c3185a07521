/* Starts programs and tells what each of them cost. It is small and in C so that starting a program
 * from it costs little and the same each time.
 *
 * Standard input has a line for each program to start:
 *
 *   GROUP INPUT OUTPUT PROGRAM [NAME=VALUE]...
 *
 * GROUP is a file of process ids (cgroup.procs, or "-") that the program enters before it is
 * executed, INPUT and OUTPUT are what it reads and writes (its standard error goes to OUTPUT as
 * well), and the rest is its whole environment. No word can hold a space. A line "together" starts
 * all lines before it at once, "in-turn" each when the one before has ended. The answer is a line
 *
 *   STATUS WALL CPU RSS
 *
 * for each program, in order (its exit status, or 128 and the signal; microseconds from its start
 * to its end; microseconds of CPU time and the highest resident memory in KiB, of itself and of
 * every child that it waited for), then a line with the microseconds that all of them took.
 *
 * RSS is never below this program's own, which vfork() lends to the child until it is executed.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 256, WORDS_MAX = 32, EXEC_FAILED = 127 };

struct job {
	char *line; /* the words below point into it */
	char *group, *input, *output, *program;
	char *environment[WORDS_MAX + 1];
	int fds[3]; /* group, input, output */
	pid_t pid;
	int status;
	double start, end;
	struct rusage usage;
};

static struct job jobs[JOBS_MAX];
static size_t n_jobs;

/* Microseconds. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double microseconds(const struct timeval *t)
{
	return (double)t->tv_sec * 1e6 + (double)t->tv_usec;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void add_job(const char *line)
{
	struct job *job = &jobs[n_jobs];
	char *words[4] = {0}, *save = NULL;
	size_t n = 0;

	if (n_jobs == JOBS_MAX)
		errx(1, "more than %d programs", JOBS_MAX);
	*job = (struct job){.line = strdup(line), .fds = {-1, -1, -1}};
	for (char *w = strtok_r(job->line, " ", &save); w; w = strtok_r(NULL, " ", &save), n++) {
		if (n < 4)
			words[n] = w;
		else if (n - 4 < WORDS_MAX)
			job->environment[n - 4] = w;
		else
			errx(1, "more than %d variables", WORDS_MAX);
	}
	if (n < 4)
		errx(1, "four words are wanted: %s", line);
	job->group = words[0];
	job->input = words[1];
	job->output = words[2];
	job->program = words[3];
	n_jobs++;
}

static void open_files(struct job *job)
{
	if (strcmp(job->group, "-") != 0)
		job->fds[0] = open_or_die(job->group, O_WRONLY);
	job->fds[1] = open_or_die(job->input, O_RDONLY);
	job->fds[2] = open_or_die(job->output, O_WRONLY | O_CREAT | O_TRUNC);
}

/* In the child of vfork(), which shares this program's memory: system calls, and nothing else. */
static void execute(const struct job *job)
{
	char *const arguments[] = {job->program, NULL};

	if ((job->fds[0] < 0 || write(job->fds[0], "0", 1) == 1) && dup2(job->fds[1], 0) == 0 &&
	    dup2(job->fds[2], 1) == 1 && dup2(job->fds[2], 2) == 2)
		execve(job->program, arguments, job->environment);
	_exit(EXEC_FAILED);
}

static void start(struct job *job)
{
	job->start = now();
	job->pid = vfork();
	if (job->pid == 0)
		execute(job);
	if (job->pid < 0)
		err(1, "vfork");
}

/* Waits for whichever program ends next. */
static void reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid = wait4(-1, &status, 0, &usage);
	double end = now();

	if (pid < 0)
		err(1, "wait4");
	for (size_t i = 0; i < n_jobs; i++) {
		if (jobs[i].pid != pid)
			continue;
		jobs[i].pid = 0;
		jobs[i].end = end;
		jobs[i].usage = usage;
		jobs[i].status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

static void answer(const struct job *job)
{
	printf("%d %.0f %.0f %ld\n", job->status, job->end - job->start,
	       microseconds(&job->usage.ru_utime) + microseconds(&job->usage.ru_stime),
	       job->usage.ru_maxrss);
}

static void clear_job(struct job *job)
{
	for (size_t i = 0; i < 3; i++) {
		if (job->fds[i] >= 0)
			close(job->fds[i]);
	}
	free(job->line);
}

static void run(int together)
{
	double begin;

	for (size_t i = 0; i < n_jobs; i++)
		open_files(&jobs[i]);
	begin = now();
	for (size_t i = 0; i < n_jobs; i++) {
		start(&jobs[i]);
		if (!together)
			reap();
	}
	for (size_t i = 0; together && i < n_jobs; i++)
		reap();
	begin = now() - begin;
	for (size_t i = 0; i < n_jobs; i++) {
		answer(&jobs[i]);
		clear_job(&jobs[i]);
	}
	printf("%.0f\n", begin);
	fflush(stdout);
	n_jobs = 0;
}

int main(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "together"))
			run(1);
		else if (!strcmp(line, "in-turn"))
			run(0);
		else
			add_job(line);
	}
	return 0;
}

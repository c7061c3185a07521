/* flows tcp|udp HOST PORT COUNT INTERVAL_MS: open connections that keep talking.
 *
 * Each connection says a line every INTERVAL_MS (staggered) and expects "<its public address> <line>"
 * back; the public address tells its exit. Commands come on stdin, a line each, answered by a line of
 * JSON:
 *
 *	mark	starts the measures anew
 *	check	says what happened since the last mark
 *	reopen	opens the lost ones again, each from the port it had; answered as at first
 *
 * A first line is printed when each connection is either open (its first line was answered) or failed.
 * What is called what:
 *
 *	lost		ended since it was opened, by an error or the far end, or refused by ICMP (UDP)
 *	reset		those of the lost that were told so (RST, ICMP) instead of timing out
 *	moved		answered, but with another public address than at first
 *	answered	alive, and a line said after the mark has been answered
 *	gap_ms		longest time since the mark without any answered line
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXITS_MAX	 32
#define ERRORS_MAX	 16
#define OPENING_MAX	 8  /* connections being opened at a time */
#define OPENING_MS	 50 /* and between two of them: more overload an emulated machine */
#define OPEN_PATIENCE_MS 30000

enum state { WAITING, OPENING, ALIVE, FAILED, LOST };

struct flow {
	int fd;
	enum state state;
	int error;		/* errno that ended it, 0: the far end closed */
	struct sockaddr_in own; /* its address and port, zeros before it was open */
	bool moved, answered;
	unsigned int exit;	  /* index in exits[] */
	unsigned int said, heard; /* number of the last line said, of the last line answered */
	unsigned int marked;	  /* lines above this one were said since the mark */
	int64_t next_ms, opening_ms;
	char in[256];
	size_t n_in;
};

struct exit_count {
	char name[INET_ADDRSTRLEN];
	unsigned int flows, lost, reset;
	int64_t heard_ms, gap_ms;
};

static struct flow *flows;
static unsigned int count, interval_ms, opening;
static struct exit_count exits[EXITS_MAX];
static unsigned int n_exits;
static struct sockaddr_in server;
static int epoll, type;
static uint64_t sent, echoed;
static int64_t heard_ms, gap_ms, mark_ms, open_ms;
static bool announced;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool was_told(int error)
{
	return error == ECONNRESET || error == ECONNREFUSED || error == EHOSTUNREACH ||
	       error == ENETUNREACH || error == EPIPE || error == EACCES || error == EPERM;
}

static unsigned int exit_index(const char *name)
{
	unsigned int i;

	for (i = 0; i < n_exits; i++) {
		if (!strcmp(exits[i].name, name))
			return i;
	}
	if (n_exits == EXITS_MAX)
		exit(1);
	snprintf(exits[i].name, sizeof(exits[i].name), "%.15s", name);
	exits[i].heard_ms = now_ms();
	n_exits++;
	return i;
}

static void flow_end(struct flow *f, int error)
{
	if (f->state == OPENING)
		opening--;
	if (f->state == ALIVE) {
		exits[f->exit].lost++;
		exits[f->exit].reset += was_told(error);
		exits[f->exit].flows--;
	}
	f->state = f->state == ALIVE ? LOST : FAILED;
	f->error = error;
	close(f->fd);
}

static void flow_say(struct flow *f)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%u\n", ++f->said);

	sent++;
	if (send(f->fd, line, (size_t)n, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		flow_end(f, errno);
}

static void flow_open(struct flow *f)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = f};
	int one = 1;

	f->fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
	f->state = OPENING;
	f->opening_ms = now_ms();
	opening++;
	if (type == SOCK_STREAM) {
		setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		ev.events |= EPOLLOUT;
	}
	if (f->own.sin_port && bind(f->fd, (struct sockaddr *)&f->own, sizeof(f->own)) < 0) {
		flow_end(f, errno);
		return;
	}
	if (connect(f->fd, (struct sockaddr *)&server, sizeof(server)) < 0 &&
	    errno != EINPROGRESS) {
		flow_end(f, errno);
		return;
	}
	epoll_ctl(epoll, EPOLL_CTL_ADD, f->fd, &ev);
	if (type == SOCK_DGRAM)
		flow_say(f);
}

static void note_gap(int64_t *heard, int64_t *gap, int64_t now)
{
	int64_t from = *heard > mark_ms ? *heard : mark_ms;

	if (now - from > *gap)
		*gap = now - from;
	*heard = now;
}

/* "<address> <number>" */
static void flow_hear(struct flow *f, char *line)
{
	char *space = strchr(line, ' ');
	int64_t now = now_ms();
	unsigned int at;

	if (!space)
		return;
	*space = '\0';
	at = exit_index(line);
	f->heard = (unsigned int)strtoul(space + 1, NULL, 10);
	echoed++;
	if (f->state == OPENING) {
		socklen_t len = sizeof(f->own);

		opening--;
		f->state = ALIVE;
		getsockname(f->fd, (struct sockaddr *)&f->own, &len);
		f->exit = at;
		exits[at].flows++;
		f->next_ms = now + interval_ms * (int64_t)(f - flows) / count + 1;
	}
	f->moved |= at != f->exit;
	f->answered |= f->heard > f->marked;
	note_gap(&heard_ms, &gap_ms, now);
	note_gap(&exits[f->exit].heard_ms, &exits[f->exit].gap_ms, now);
}

static void flow_read(struct flow *f)
{
	ssize_t n = recv(f->fd, f->in + f->n_in, sizeof(f->in) - 1 - f->n_in, 0);
	char *line = f->in, *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		flow_end(f, n < 0 ? errno : 0);
		return;
	}
	f->n_in += (size_t)n;
	f->in[f->n_in] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		flow_hear(f, line);
		line = end + 1;
	}
	f->n_in -= (size_t)(line - f->in);
	memmove(f->in, line, f->n_in);
}

static void flow_event(struct flow *f, uint32_t events)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = f};
	int error = 0;
	socklen_t len = sizeof(error);

	if (events & (EPOLLERR | EPOLLHUP)) {
		getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			flow_end(f, error);
			return;
		}
	}
	if (events & EPOLLOUT) {
		epoll_ctl(epoll, EPOLL_CTL_MOD, f->fd, &ev);
		flow_say(f);
	}
	if (events & EPOLLIN && (f->state == ALIVE || f->state == OPENING))
		flow_read(f);
}

/* Opens the next one that waits, when it is time. Says whether it is worth waking at open_ms. */
static bool open_next(int64_t now)
{
	unsigned int i = 0;

	while (i < count && flows[i].state != WAITING)
		i++;
	if (i == count || opening >= OPENING_MAX)
		return false;
	if (now >= open_ms) {
		flow_open(&flows[i]);
		open_ms = now + OPENING_MS;
	}
	return true;
}

/* Opens the next one, lets those speak whose time has come; returns ms until there is more to do.
 */
static int tend(void)
{
	int64_t now = now_ms(), wake = now + 1000;

	if (open_next(now) && open_ms < wake)
		wake = open_ms;

	for (unsigned int i = 0; i < count; i++) {
		struct flow *f = &flows[i];

		if (f->state == OPENING && now - f->opening_ms > OPEN_PATIENCE_MS)
			flow_end(f, ETIMEDOUT);
		if (f->state != ALIVE)
			continue;
		if (f->next_ms <= now) {
			/* TCP: an unanswered line is being retransmitted, no need for another. */
			if (type == SOCK_DGRAM || f->heard == f->said)
				flow_say(f);
			f->next_ms += interval_ms;
			if (f->next_ms <= now)
				f->next_ms = now + interval_ms;
		}
		if (f->next_ms < wake)
			wake = f->next_ms;
	}
	return wake > now ? (int)(wake - now) : 0;
}

static unsigned int count_state(enum state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++)
		n += flows[i].state == state;
	return n;
}

/* ,"NAME":{"198.51.100.101":n,…} of the field at `offset` of each exit. */
static void print_by_exit(const char *name, size_t offset, bool wide)
{
	const char *comma = "";

	printf(",\"%s\":{", name);
	for (unsigned int i = 0; i < n_exits; i++) {
		const char *at = (const char *)&exits[i] + offset;
		long long value = wide ? *(const int64_t *)(const void *)at
				       : *(const unsigned int *)(const void *)at;

		printf("%s\"%s\":%lld", comma, exits[i].name, value);
		comma = ",";
	}
	printf("}");
}

static void print_errors(void)
{
	struct {
		int error;
		unsigned int n;
	} seen[ERRORS_MAX] = {0};
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int j;

		if (flows[i].state != LOST && flows[i].state != FAILED)
			continue;
		for (j = 0; j < n && seen[j].error != flows[i].error; j++)
			;
		if (j == ERRORS_MAX)
			continue;
		n = j == n ? n + 1 : n;
		seen[j].error = flows[i].error;
		seen[j].n++;
	}
	printf(",\"errors\":{");
	for (unsigned int j = 0; j < n; j++) {
		const char *name = strerrorname_np(seen[j].error);

		printf("%s\"%s\":%u", j ? "," : "", seen[j].error ? name : "EOF", seen[j].n);
	}
	printf("}");
}

static void print_opening(void)
{
	printf("{\"opened\":%u,\"failed\":%u", count_state(ALIVE) + count_state(LOST),
	       count_state(FAILED));
	print_by_exit("per_exit", offsetof(struct exit_count, flows), false);
}

static void command_check(void)
{
	unsigned int answered = 0, moved = 0, reset = 0;
	int64_t now = now_ms();

	/* Silence that still lasts counts as well. */
	if (now - (heard_ms > mark_ms ? heard_ms : mark_ms) > gap_ms)
		gap_ms = now - (heard_ms > mark_ms ? heard_ms : mark_ms);
	for (unsigned int i = 0; i < count; i++) {
		answered += flows[i].state == ALIVE && flows[i].answered;
		moved += flows[i].moved;
		reset += flows[i].state == LOST && was_told(flows[i].error);
	}
	print_opening();
	printf(",\"alive\":%u,\"lost\":%u,\"reset\":%u,\"moved\":%u,\"answered\":%u,\"gap_ms\":%lld"
	       ",\"sent\":%llu,\"echoed\":%llu",
	       count_state(ALIVE), count_state(LOST), reset, moved, answered, (long long)gap_ms,
	       (unsigned long long)sent, (unsigned long long)echoed);
	print_by_exit("gap_ms_by_exit", offsetof(struct exit_count, gap_ms), true);
	print_by_exit("lost_by_exit", offsetof(struct exit_count, lost), false);
	print_by_exit("reset_by_exit", offsetof(struct exit_count, reset), false);
	print_errors();
	printf("}\n");
}

static void command_mark(void)
{
	mark_ms = now_ms();
	gap_ms = 0;
	sent = echoed = 0;
	for (unsigned int i = 0; i < n_exits; i++)
		exits[i].gap_ms = 0;
	for (unsigned int i = 0; i < count; i++) {
		flows[i].answered = false;
		flows[i].marked = flows[i].said;
	}
	printf("{}\n");
}

static void command_reopen(void)
{
	for (unsigned int i = 0; i < count; i++) {
		struct flow *f = &flows[i];

		if (f->state != LOST)
			continue;
		f->state = WAITING;
		f->moved = false;
		f->n_in = 0;
	}
	announced = false;
}

/* Returns false at the end of stdin. */
static bool obey(void)
{
	static char in[256];
	static size_t n;
	ssize_t r = read(STDIN_FILENO, in + n, sizeof(in) - 1 - n);
	char *line = in, *end;

	if (r <= 0)
		return r < 0 && (errno == EAGAIN || errno == EINTR);
	n += (size_t)r;
	in[n] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		if (!strcmp(line, "check"))
			command_check();
		else if (!strcmp(line, "mark"))
			command_mark();
		else if (!strcmp(line, "reopen"))
			command_reopen();
		else
			printf("{\"error\":\"unknown command\"}\n");
		line = end + 1;
	}
	n -= (size_t)(line - in);
	memmove(in, line, n);
	fflush(stdout);
	return true;
}

/* Closes what is open, a packet each (RST) and one after the other: 300 connections that say goodbye
 * at once overload an emulated machine for seconds. */
static void leave(void)
{
	const struct linger at_once = {.l_onoff = 1};
	const struct timespec pause = {.tv_nsec = 10000000};

	for (unsigned int i = 0; i < count; i++) {
		if (flows[i].state != ALIVE)
			continue;
		setsockopt(flows[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(flows[i].fd);
		nanosleep(&pause, NULL);
	}
}

static void announce(void)
{
	if (announced || count_state(WAITING) || count_state(OPENING))
		return;
	announced = true;
	print_opening();
	print_errors();
	printf("}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct epoll_event control = {.events = EPOLLIN, .data.ptr = NULL};

	if (argc != 6 || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) {
		fprintf(stderr, "usage: flows tcp|udp ADDRESS PORT COUNT INTERVAL_MS\n");
		return 2;
	}
	type = strcmp(argv[1], "udp") ? SOCK_STREAM : SOCK_DGRAM;
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)atoi(argv[3]));
	count = (unsigned int)atoi(argv[4]);
	interval_ms = (unsigned int)atoi(argv[5]);
	flows = calloc(count ? count : 1, sizeof(*flows));
	epoll = epoll_create1(0);
	mark_ms = heard_ms = now_ms();
	epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &control);
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(epoll, ev, 64, tend());

		for (int i = 0; i < n; i++) {
			struct flow *f = ev[i].data.ptr;

			if (!f && !obey()) {
				leave();
				return 0;
			}
			if (f && (f->state == ALIVE || f->state == OPENING))
				flow_event(f, ev[i].events);
		}
		announce();
	}
}

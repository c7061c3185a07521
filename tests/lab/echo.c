/* What the lab's internet and intranet answer with:   echo [PORT [HTTP-PORT]]   (7 and 80)
 *
 * PORT, TCP: every line comes back as "<caller's address> <line>"; UDP: every datagram likewise.
 * HTTP-PORT: any request is answered with the caller's address as plain text, and closed.
 *
 * In C because it runs on an emulated CPU, beside what is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

enum kind { LISTEN_HTTP, LISTEN_ECHO, DATAGRAMS, HTTP, LINES };

/* A socket with what it is for, the caller, and the beginning of a line that is not whole yet. */
struct peer {
	enum kind kind;
	int fd;
	char name[INET_ADDRSTRLEN];
	char line[LINE_MAX_BYTES];
	size_t n;
};

static int epoll;

static int must(int r, const char *what)
{
	if (r < 0) {
		perror(what);
		exit(1);
	}
	return r;
}

static struct peer *watch(enum kind kind, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};

	if (!peer)
		abort();
	peer->kind = kind;
	peer->fd = fd;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
	return peer;
}

static void open_port(enum kind kind, int type, int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = must(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(fd, (struct sockaddr *)&any, sizeof(any)), "bind");
	if (type == SOCK_STREAM)
		must(listen(fd, 4096), "listen");
	watch(kind, fd);
}

static void accept_all(const struct peer *listener)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	int fd;

	while ((fd = accept4(listener->fd, (struct sockaddr *)&from, &size,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *peer = watch(listener->kind == LISTEN_HTTP ? HTTP : LINES, fd);

		inet_ntop(AF_INET, &from.sin_addr, peer->name, sizeof(peer->name));
		size = sizeof(from);
	}
}

static void answer_datagrams(int fd)
{
	char line[LINE_MAX_BYTES], name[INET_ADDRSTRLEN], out[sizeof(line) + sizeof(name) + 1];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, line, sizeof(line), 0, (struct sockaddr *)&from, &size)) >= 0) {
		inet_ntop(AF_INET, &from.sin_addr, name, sizeof(name));
		int length = snprintf(out, sizeof(out), "%s %.*s", name, (int)n, line);

		(void)!sendto(fd, out, (size_t)length, 0, (struct sockaddr *)&from, size);
		size = sizeof(from);
	}
}

/* -1 where the connection is done with, as in answer_lines(). A request is whole at its first empty
 * line. */
static int answer_http(const struct peer *peer)
{
	char out[256];

	if (!memmem(peer->line, peer->n, "\r\n\r\n", 4))
		return peer->n < sizeof(peer->line) ? 0 : -1;
	int length = snprintf(out, sizeof(out),
			      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			      "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
			      strlen(peer->name) + 1, peer->name);
	(void)!write(peer->fd, out, (size_t)length);
	return -1;
}

static int answer_lines(struct peer *peer)
{
	char out[sizeof(peer->line) + sizeof(peer->name) + 1];
	char *end;

	while ((end = memchr(peer->line, '\n', peer->n))) {
		size_t line = (size_t)(end + 1 - peer->line);
		int size = snprintf(out, sizeof(out), "%s %.*s", peer->name, (int)line, peer->line);

		if (write(peer->fd, out, (size_t)size) != size)
			return -1;
		peer->n -= line;
		memmove(peer->line, end + 1, peer->n);
	}
	return peer->n < sizeof(peer->line) ? 0 : -1;
}

static void read_stream(struct peer *peer)
{
	ssize_t n = read(peer->fd, peer->line + peer->n, sizeof(peer->line) - peer->n);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		peer->n += (size_t)n;
		if ((peer->kind == HTTP ? answer_http(peer) : answer_lines(peer)) == 0)
			return;
	}
	close(peer->fd);
	free(peer);
}

static void handle(struct peer *peer)
{
	switch (peer->kind) {
	case LISTEN_HTTP:
	case LISTEN_ECHO:
		accept_all(peer);
		break;
	case DATAGRAMS:
		answer_datagrams(peer->fd);
		break;
	case HTTP:
	case LINES:
		read_stream(peer);
		break;
	}
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 7;
	struct epoll_event events[64];

	/* A caller that went away must not end the server. */
	signal(SIGPIPE, SIG_IGN);
	epoll = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	open_port(LISTEN_ECHO, SOCK_STREAM, port);
	open_port(DATAGRAMS, SOCK_DGRAM, port);
	open_port(LISTEN_HTTP, SOCK_STREAM, argc > 2 ? atoi(argv[2]) : 80);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++)
			handle(events[i].data.ptr);
	}
}

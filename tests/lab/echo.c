/* echo PORT: answers each line with the caller's address and the line, by TCP and UDP, until
 * killed. In C because it runs on an emulated CPU, beside what is measured. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

struct peer {
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

static void watch(struct peer *peer)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = peer};

	must(epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &ev), "epoll_ctl");
}

static struct peer *open_port(int type, unsigned short port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct peer *peer = calloc(1, sizeof(*peer));
	int one = 1;

	peer->fd = must(socket(AF_INET, type, 0), "socket");
	setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(peer->fd, (struct sockaddr *)&sin, sizeof(sin)), "bind");
	if (type == SOCK_STREAM)
		must(listen(peer->fd, 1024), "listen");
	watch(peer);
	return peer;
}

static void accept_one(int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	peer->fd = accept(fd, (struct sockaddr *)&sin, &len);
	if (peer->fd < 0) {
		free(peer);
		return;
	}
	inet_ntop(AF_INET, &sin.sin_addr, peer->name, sizeof(peer->name));
	watch(peer);
}

static void answer_datagram(int fd)
{
	char line[LINE_MAX_BYTES], name[INET_ADDRSTRLEN], out[LINE_MAX_BYTES + INET_ADDRSTRLEN + 1];
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	ssize_t n = recvfrom(fd, line, sizeof(line), 0, (struct sockaddr *)&sin, &len);
	int size;

	if (n < 0)
		return;
	inet_ntop(AF_INET, &sin.sin_addr, name, sizeof(name));
	size = snprintf(out, sizeof(out), "%s %.*s", name, (int)n, line);
	sendto(fd, out, (size_t)size, 0, (struct sockaddr *)&sin, len);
}

static void hang_up(struct peer *peer)
{
	close(peer->fd);
	free(peer);
}

static void answer_lines(struct peer *peer)
{
	ssize_t n = read(peer->fd, peer->line + peer->n, sizeof(peer->line) - peer->n);
	char *end;

	if (n <= 0) {
		hang_up(peer);
		return;
	}
	peer->n += (size_t)n;
	while ((end = memchr(peer->line, '\n', peer->n))) {
		char out[LINE_MAX_BYTES + INET_ADDRSTRLEN + 1];
		size_t line = (size_t)(end + 1 - peer->line);
		int size = snprintf(out, sizeof(out), "%s %.*s", peer->name, (int)line, peer->line);

		if (write(peer->fd, out, (size_t)size) != size) {
			hang_up(peer);
			return;
		}
		peer->n -= line;
		memmove(peer->line, end + 1, peer->n);
	}
	if (peer->n == sizeof(peer->line))
		hang_up(peer);
}

int main(int argc, char **argv)
{
	unsigned short port = (unsigned short)(argc > 1 ? atoi(argv[1]) : 7);
	struct peer *tcp, *udp;

	epoll = must(epoll_create1(0), "epoll");
	tcp = open_port(SOCK_STREAM, port);
	udp = open_port(SOCK_DGRAM, port);
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(epoll, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			struct peer *peer = ev[i].data.ptr;

			if (peer == tcp)
				accept_one(tcp->fd);
			else if (peer == udp)
				answer_datagram(udp->fd);
			else
				answer_lines(peer);
		}
	}
}

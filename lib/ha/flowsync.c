#include "flowsync.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

/* conntrack-tools, include/conntrackd.h: the request is one int, the answer text up to the end. */
#define REQUEST_RESYNC 1
#define REQUEST_STATS  21
/* `conntrackd -s` answers less than 1 KiB. */
#define ANSWER_MAX 16384
/* Seconds without news of the peer. */
#define HEARD_MAX 3

struct flowsync {
	struct event_base *base;
	char *path;
	struct event *tick;
	struct bufferevent *asked; /* NULL while no answer is due */
	uint64_t received;
	unsigned int silent_s;
};

int flowsync_received(const char *stats, uint64_t *ret)
{
	const char *section = strstr(stats, "multicast traffic");
	const char *line = section ? strstr(section, "Pckts sent") : NULL;
	unsigned long long n;

	if (!line || sscanf(line, "Pckts sent %llu Pckts recv", &n) != 1)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int flowsync_connect(const struct flowsync *sync)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (strlen(sync->path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, sync->path, strlen(sync->path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -errno;
	return steal_fd(&fd);
}

static void asked_free(struct flowsync *sync)
{
	if (sync->asked)
		bufferevent_free(sync->asked);
	sync->asked = NULL;
}

static void answer_read(struct bufferevent *bev, void *data)
{
	if (evbuffer_get_length(bufferevent_get_input(bev)) > ANSWER_MAX)
		asked_free(data);
}

static void answer_ended(struct bufferevent *bev, short what, void *data)
{
	struct flowsync *sync = data;
	struct evbuffer *input = bufferevent_get_input(bev);
	uint64_t received;

	(void)what;
	evbuffer_add(input, "", 1);
	if (!flowsync_received((const char *)evbuffer_pullup(input, -1), &received) &&
	    received != sync->received) {
		sync->received = received;
		sync->silent_s = 0;
	}
	asked_free(sync);
}

static void flowsync_tick(evutil_socket_t fd, short what, void *data)
{
	static const int request = REQUEST_STATS;
	struct flowsync *sync = data;
	int client;

	(void)fd, (void)what;
	if (sync->silent_s <= HEARD_MAX)
		sync->silent_s++;
	asked_free(sync);
	client = flowsync_connect(sync);
	if (client < 0)
		return;
	sync->asked = bufferevent_socket_new(sync->base, client, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(sync->asked, answer_read, NULL, answer_ended, sync);
	bufferevent_write(sync->asked, &request, sizeof(request));
	bufferevent_enable(sync->asked, EV_READ | EV_WRITE);
}

struct flowsync *flowsync_new(struct event_base *base, const char *path)
{
	static const struct timeval second = {.tv_sec = 1};
	struct flowsync *sync = xcalloc(1, sizeof(*sync));

	*sync = (struct flowsync){.base = base, .path = xstrdup(path), .silent_s = HEARD_MAX + 1};
	sync->tick = event_new(base, -1, EV_PERSIST, flowsync_tick, sync);
	event_add(sync->tick, &second);
	return sync;
}

void flowsync_free(struct flowsync *sync)
{
	if (!sync)
		return;
	asked_free(sync);
	event_free(sync->tick);
	free(sync->path);
	free(sync);
}

bool flowsync_in_sync(const struct flowsync *sync)
{
	return sync->silent_s <= HEARD_MAX;
}

void flowsync_resync(struct flowsync *sync)
{
	static const int request = REQUEST_RESYNC;
	auto_close int client = flowsync_connect(sync);

	if (client >= 0)
		(void)send(client, &request, sizeof(request), MSG_NOSIGNAL);
}

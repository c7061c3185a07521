#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "cleanup.h"
#include "mem.h"
#include "probe_packet.h"

/* Read at most this many packets before other events get their turn. */
#define READ_BURST 64

struct probe {
	const struct probe_config *config;
	struct probe_rules rules;
	struct probe_state state;
	probe_changed_fn *changed;
	void *data;
	uint16_t id;
	int fd;
	struct event *round, *readable, *expiry;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timeval from_ms(int64_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void report(struct probe *p, bool changed)
{
	if (changed)
		p->changed(p->state.health, p->data);
}

static void arm_expiry(struct probe *p)
{
	int64_t deadline = probe_state_deadline(&p->state, &p->rules), now = now_ms();
	struct timeval wait = from_ms(deadline > now ? deadline - now : 0);

	if (deadline < 0)
		event_del(p->expiry);
	else
		event_add(p->expiry, &wait);
}

static void send_round(struct probe *p)
{
	const struct addr *targets = p->config->targets.items;
	uint8_t request[PROBE_REQUEST_SIZE];

	probe_request(p->id, probe_state_sent(&p->state, now_ms()), request);
	for (size_t i = 0; i < p->config->targets.n; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET};

		memcpy(&to.sin_addr, targets[i].bytes, sizeof(to.sin_addr));
		/* A request that cannot be sent is one that is not answered. */
		(void)!sendto(p->fd, request, sizeof(request), 0, (struct sockaddr *)&to,
			      sizeof(to));
	}
	arm_expiry(p);
}

static void on_round(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	send_round(data);
}

static void on_expiry(evutil_socket_t fd, short what, void *data)
{
	struct probe *p = data;
	bool changed = probe_state_expire(&p->state, &p->rules, now_ms());

	(void)fd, (void)what;
	arm_expiry(p);
	report(p, changed);
}

static bool is_target(const struct probe *p, const struct addr *from)
{
	const struct addr *targets = p->config->targets.items;

	for (size_t i = 0; i < p->config->targets.n; i++) {
		if (addr_equal(&targets[i], from))
			return true;
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct probe *p = data;
	bool changed = false;

	(void)what;
	for (int i = 0; i < READ_BURST; i++) {
		struct probe_answer answer;
		uint8_t packet[2048];
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		if (n < 0)
			break;
		if (probe_answer_parse(packet, (size_t)n, &answer) && answer.id == p->id &&
		    is_target(p, &answer.from))
			changed |= probe_state_answer(&p->state, &p->rules, answer.seq, now_ms());
	}
	arm_expiry(p);
	report(p, changed);
}

static int open_socket(const char *dev, struct err *err)
{
	const struct icmp_filter answers_only = {~(1U << ICMP_ECHOREPLY)};
	auto_close int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (fd < 0)
		return err_errno(err, -errno, "probe socket");
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev)) < 0)
		return err_errno(err, -errno, "probe socket: bind to %s", dev);
	if (setsockopt(fd, SOL_RAW, ICMP_FILTER, &answers_only, sizeof(answers_only)) < 0)
		return err_errno(err, -errno, "probe socket: filter");
	return steal_fd(&fd);
}

int probe_start(struct event_base *base, const struct probe_config *config, const char *dev,
		uint16_t id, probe_changed_fn *changed, void *data, struct probe **ret,
		struct err *err)
{
	const struct timeval interval = from_ms(config->interval_ms);
	int fd = open_socket(dev, err);
	struct probe *p;

	if (fd < 0)
		return err->code;
	p = xcalloc(1, sizeof(*p));
	p->config = config;
	p->rules = (struct probe_rules){config->timeout_ms, config->down, config->up};
	p->changed = changed;
	p->data = data;
	p->id = id;
	p->fd = fd;
	/* Answers to the requests of a former holder must not count. */
	if (getrandom(&p->state.seq, sizeof(p->state.seq), 0) < 0)
		p->state.seq = (uint16_t)now_ms();
	probe_state_start(&p->state);
	p->round = event_new(base, -1, EV_PERSIST, on_round, p);
	p->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, p);
	p->expiry = event_new(base, -1, 0, on_expiry, p);
	if (!p->round || !p->readable || !p->expiry)
		abort();
	event_add(p->round, &interval);
	event_add(p->readable, NULL);
	send_round(p);
	*ret = p;
	return 0;
}

void probe_stop(struct probe *p)
{
	event_free(p->round);
	event_free(p->readable);
	event_free(p->expiry);
	close(p->fd);
	free(p);
}

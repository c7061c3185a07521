#include "health.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cleanup.h"
#include "mem.h"

#define HEALTH_HEADERS_MAX 4096

/* A timer that fires later than this says that this program was kept waiting. */
#define LATE_MS 100

struct probe {
	struct health *health;
	size_t index;
	char addr[ADDR_STRLEN];
	struct event *tick;   /* asks */
	struct event *expiry; /* gives up waiting */
	struct evhttp_connection *connection;
	int64_t due; /* ms of CLOCK_MONOTONIC: until then the answer is awaited */
	bool waiting;
	bool extended; /* has got its second chance */
};

struct health {
	struct event_base *base;
	unsigned int port;
	unsigned int timeout_ms;
	struct timeval interval, timeout;
	struct probe *probes;
	size_t n;
	health_fn *fn;
	void *data;
};

static struct timeval timeval_ms(unsigned int ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void probe_wait(struct probe *probe)
{
	probe->waiting = true;
	probe->due = now_ms() + probe->health->timeout_ms;
	event_add(probe->expiry, &probe->health->timeout);
}

/* Where this program was kept waiting itself (a busy node, a stopped process), the answer may lie
 * in the socket: the exit gets its time once more before it is blamed. */
static bool probe_extended(struct probe *probe)
{
	if (probe->extended || now_ms() - probe->due <= LATE_MS)
		return false;
	probe->extended = true;
	probe_wait(probe);
	return true;
}

/* Not to be called from within the connection's own callbacks. */
static void probe_drop(struct probe *probe)
{
	probe->waiting = false;
	event_del(probe->expiry);
	if (probe->connection)
		evhttp_connection_free(probe->connection);
	probe->connection = NULL;
}

static void probe_answer(struct probe *probe, const struct health_document *document)
{
	probe->waiting = false;
	event_del(probe->expiry);
	probe->health->fn(probe->index, document, probe->health->data);
}

static void on_expiry(evutil_socket_t fd, short what, void *data)
{
	struct probe *probe = data;

	if (probe_extended(probe))
		return;
	probe_drop(probe);
	probe_answer(probe, NULL);
}

/* `req` is NULL where the connection broke or the answer was too large. The connection is freed by
 * the next tick. */
static void on_response(struct evhttp_request *req, void *data)
{
	struct probe *probe = data;
	struct health_document document;
	struct evbuffer *body;
	struct err err;
	size_t n;

	if (!probe->waiting)
		return;
	if (!req || evhttp_request_get_response_code(req) != HTTP_OK) {
		probe_answer(probe, NULL);
		return;
	}
	body = evhttp_request_get_input_buffer(req);
	n = evbuffer_get_length(body);
	if (!n ||
	    health_document_parse((const char *)evbuffer_pullup(body, -1), n, &document, &err) < 0)
		probe_answer(probe, NULL);
	else
		probe_answer(probe, &document);
}

/* A connection a question: one that is kept would end with the gateway that held the exit, and make
 * its successor look dead for one more answer. */
static void on_tick(evutil_socket_t fd, short what, void *data)
{
	struct probe *probe = data;
	struct health *health = probe->health;
	struct evhttp_request *req;
	bool missed = probe->waiting && now_ms() + LATE_MS >= probe->due;

	/* Well within its time, or given more of it. */
	if (probe->waiting && (!missed || probe_extended(probe)))
		return;
	probe_drop(probe);
	if (missed)
		probe_answer(probe, NULL);
	probe->connection = evhttp_connection_base_new(health->base, NULL, probe->addr,
						       (unsigned short)health->port);
	evhttp_connection_set_max_headers_size(probe->connection, HEALTH_HEADERS_MAX);
	evhttp_connection_set_max_body_size(probe->connection, HEALTH_DOCUMENT_MAX);
	req = evhttp_request_new(on_response, probe);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", probe->addr);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	probe->extended = false;
	probe_wait(probe);
	/* A failure calls on_response(), perhaps before this returns. */
	evhttp_make_request(probe->connection, req, EVHTTP_REQ_GET, "/health");
}

/* The first question comes at once; from then on the probes keep their distance by themselves. */
static void on_first(evutil_socket_t fd, short what, void *data)
{
	struct probe *probe = data;

	event_free(probe->tick);
	probe->tick = event_new(probe->health->base, -1, EV_PERSIST, on_tick, probe);
	event_add(probe->tick, &probe->health->interval);
	on_tick(fd, what, data);
}

static void probe_init(struct probe *probe, struct health *health, size_t index,
		       const struct model_exit *exit)
{
	struct timeval first = timeval_ms((unsigned int)index * 5);

	*probe = (struct probe){.health = health, .index = index};
	addr_format(&exit->addr, probe->addr);
	probe->expiry = evtimer_new(health->base, on_expiry, probe);
	probe->tick = evtimer_new(health->base, on_first, probe);
	event_add(probe->tick, &first);
}

struct health *health_start(struct event_base *base, const struct router_config *config,
			    const struct model *model, health_fn *fn, void *data)
{
	struct health *health = xcalloc(1, sizeof(*health));

	*health = (struct health){
		.base = base,
		.port = config->health.port,
		.interval = timeval_ms(config->health.interval_ms),
		.timeout_ms = config->health.timeout_ms,
		.timeout = timeval_ms(config->health.timeout_ms),
		.probes = xcalloc(model->n_exits, sizeof(*health->probes)),
		.n = model->n_exits,
		.fn = fn,
		.data = data,
	};
	for (size_t i = 0; i < health->n; i++)
		probe_init(&health->probes[i], health, i, &model->exits[i]);
	return health;
}

void health_stop(struct health *health)
{
	if (!health)
		return;
	for (size_t i = 0; i < health->n; i++) {
		probe_drop(&health->probes[i]);
		event_free(health->probes[i].tick);
		event_free(health->probes[i].expiry);
	}
	free(health->probes);
	free(health);
}

#include "test.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "health.h"

/* Addresses of the loopback network stand for exits, each with a fault of its own. */
enum { EXIT_GOOD, EXIT_SILENT, EXIT_CLOSED, EXIT_HUGE, EXIT_WRONG, EXIT_ERROR, N_EXITS };

struct world {
	struct event_base *base;
	struct evhttp *servers[N_EXITS];
	int answers[N_EXITS], missing[N_EXITS];
	struct health_document last;
};

static void reply(struct evhttp_request *req, int code, const char *body)
{
	evbuffer_add(evhttp_request_get_output_buffer(req), body, strlen(body));
	evhttp_send_reply(req, code, NULL, NULL);
}

static void serve_good(struct evhttp_request *req, void *data)
{
	reply(req, HTTP_OK, "{\"exit\":\"nl\",\"state\":\"up\",\"weight\":2}");
}

static void serve_silence(struct evhttp_request *req, void *data)
{
}

static void serve_huge(struct evhttp_request *req, void *data)
{
	char *body = calloc(2 * HEALTH_DOCUMENT_MAX + 1, 1);

	assert_non_null(body);
	memset(body, ' ', (size_t)2 * HEALTH_DOCUMENT_MAX);
	reply(req, HTTP_OK, body);
	free(body);
}

static void serve_wrong(struct evhttp_request *req, void *data)
{
	reply(req, HTTP_OK, "up");
}

static void serve_error(struct evhttp_request *req, void *data)
{
	reply(req, HTTP_SERVUNAVAIL, "{\"exit\":\"nl\",\"state\":\"up\"}");
}

static bool enough(const struct world *world)
{
	for (size_t i = 0; i < N_EXITS; i++) {
		if ((i == EXIT_GOOD ? world->answers[i] : world->missing[i]) < 3)
			return false;
	}
	return true;
}

static void on_health(size_t index, const struct health_document *document, void *data)
{
	struct world *world = data;

	assert_true(index < N_EXITS);
	if (document) {
		world->answers[index]++;
		world->last = *document;
	} else {
		world->missing[index]++;
	}
	if (enough(world))
		event_base_loopbreak(world->base);
}

/* Returns the port, the same for all. */
static unsigned int world_open(struct world *world, const struct model *model)
{
	static void (*const serve[N_EXITS])(struct evhttp_request *, void *) = {
		[EXIT_GOOD] = serve_good,   [EXIT_SILENT] = serve_silence, [EXIT_HUGE] = serve_huge,
		[EXIT_WRONG] = serve_wrong, [EXIT_ERROR] = serve_error,
	};
	unsigned int port = 20000 + (unsigned int)getpid() % 20000;

	world->base = event_base_new();
	for (size_t i = 0; i < N_EXITS; i++) {
		char addr[ADDR_STRLEN];

		if (!serve[i])
			continue;
		world->servers[i] = evhttp_new(world->base);
		evhttp_set_gencb(world->servers[i], serve[i], NULL);
		assert_int_equal(evhttp_bind_socket(world->servers[i],
						    addr_format(&model->exits[i].addr, addr),
						    (uint16_t)port),
				 0);
	}
	return port;
}

static void world_close(struct world *world)
{
	for (size_t i = 0; i < N_EXITS; i++) {
		if (world->servers[i])
			evhttp_free(world->servers[i]);
	}
	event_base_free(world->base);
}

static void test_each_by_itself(void **state)
{
	struct router_config config = {.health = {.interval_ms = 100, .timeout_ms = 100}};
	const struct timeval limit = {.tv_sec = 20};
	struct world world = {0};
	auto_model struct model model = {0};
	struct health *health;

	assert_int_equal(addr_range_parse("127.0.77.1-127.0.77.6", &config.exits), 0);
	model_init(&model, &config);
	config.health.port = world_open(&world, &model);
	health = health_start(world.base, &config, &model, on_health, &world);
	event_base_loopexit(world.base, &limit);
	event_base_dispatch(world.base);
	health_stop(health);
	world_close(&world);

	assert_true(enough(&world));
	assert_string_equal(world.last.name, "nl");
	assert_int_equal(world.last.weight, 2);
	for (size_t i = EXIT_GOOD + 1; i < N_EXITS; i++)
		assert_int_equal(world.answers[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_by_itself)};

	signal(SIGPIPE, SIG_IGN); /* as main.c does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

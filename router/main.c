#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#include "apply.h"
#include "cleanup.h"
#include "daemon.h"
#include "desired.h"
#include "log.h"
#include "model.h"
#include "router.h"
#include "server.h"

#define DEFAULT_CONFIG "/etc/byway/router.json"

struct program {
	const struct daemon_options *options;
	struct router *router;
};

static void on_terminate(evutil_socket_t fd, short what, void *data)
{
	const struct program *program = data;

	router_stop(program->router);
}

static void on_reload(evutil_socket_t fd, short what, void *data)
{
	const struct program *program = data;
	auto_router_config struct router_config config = {0};
	struct err err;

	if (router_config_load(program->options->config, &config, &err) < 0 ||
	    router_reload(program->router, &config, &err) < 0)
		log_error("not reloaded", "error=\"%s\"", err.text);
	else
		log_info("reloaded", "file=%s", program->options->config);
}

static int run_loop(struct event_base *base, struct program *program)
{
	struct event *events[] = {
		evsignal_new(base, SIGTERM, on_terminate, program),
		evsignal_new(base, SIGINT, on_terminate, program),
		evsignal_new(base, SIGHUP, on_reload, program),
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < array_len(events); i++)
		event_add(events[i], NULL);
	event_base_dispatch(base);
	for (size_t i = 0; i < array_len(events); i++)
		event_free(events[i]);
	return EXIT_OK;
}

/* The listeners last: who is answered finds a router that runs. */
static int run_router(struct event_base *base, struct program *program)
{
	const struct router_config *config = &program->router->config;
	const struct obs_callbacks callbacks = {router_status, router_metrics, router_ready,
						program->router};
	struct obs *obs;
	struct err err;
	int status;

	if (obs_start(base, &config->metrics.address, (uint16_t)config->metrics.port,
		      config->socket, &callbacks, &obs, &err) < 0) {
		log_error("cannot listen", "error=\"%s\"", err.text);
		return EXIT_RUNTIME;
	}
	status = run_loop(base, program);
	obs_stop(obs);
	return status;
}

static int run(const struct daemon_options *options, struct router_config *config)
{
	struct event_base *base = event_base_new();
	struct program program = {.options = options};
	struct err err;
	int status;
	int r;

	if (!base) {
		log_error("cannot start", "error=\"no event loop\"");
		return EXIT_RUNTIME;
	}
	daemon_real_time();
	r = router_start(base, config, &program.router, &err);
	if (r == -EMSGSIZE) {
		fprintf(stderr, "%s: %s\n", options->config, err.text);
		status = EXIT_CONFIG;
	} else if (r < 0) {
		log_error("cannot start", "error=\"%s\"", err.text);
		status = EXIT_RUNTIME;
	} else {
		status = run_router(base, &program);
		router_free(program.router);
	}
	event_base_free(base);
	return status;
}

/* --- once --- */

static void print_plan(const struct router_config *config, const struct model *model)
{
	auto_object_list struct object_list wanted = {0};
	auto_plan struct plan plan = {0};
	auto_strbuf struct strbuf b = {0};

	desired_objects(config, model, &wanted);
	plan_make(&wanted, &model->actual, &plan);
	plan_print(&plan, false, &b);
	desired_ruleset(config, model, &b);
	fputs(strbuf_text(&b), stdout);
}

/* What the kernel holds, to the model. */
static int observe(const struct router_config *config, struct model *model, struct err *err)
{
	auto_object_list struct object_list wanted = {0};
	auto_net struct net *net = NULL;
	int r = net_open(NULL, &net, err);

	if (r < 0)
		return r;
	desired_objects(config, model, &wanted);
	return net_observe(net, &wanted, &model->actual, err);
}

/* A fresh start's state: gate shut, no exit known. */
static int carry_out(const struct router_config *config, const struct model *model, struct err *err)
{
	struct apply apply;
	int r = apply_open(&apply, err);

	if (r >= 0)
		r = apply_reconcile(&apply, config, model, err);
	apply_close(&apply);
	return r;
}

static int once(const struct daemon_options *options, const struct router_config *config,
		struct err *err)
{
	auto_model struct model model = {0};
	int r;

	model_init(&model, config);
	if (!options->dry_run)
		return carry_out(config, &model, err);
	r = options->model ? model_load(options->model, &model, err) : observe(config, &model, err);
	if (r >= 0)
		print_plan(config, &model);
	return r;
}

int main(int argc, char **argv)
{
	auto_router_config struct router_config config = {0};
	struct daemon_options options;
	struct err err;

	daemon_options_parse(argc, argv, DEFAULT_CONFIG,
			     "takes clients' flows by the VIP and spreads them over the exits",
			     &options);
	if (router_config_load(options.config, &config, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_CONFIG;
	}
	if (options.check) {
		printf("%s: good\n", options.config);
		return EXIT_OK;
	}
	if (!options.once)
		return run(&options, &config);
	if (once(&options, &config, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_RUNTIME;
	}
	return EXIT_OK;
}

/* byway-node: the node's part of the overlay. Options and the loop; see apply.c for what is done.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apply.h"
#include "cleanup.h"
#include "daemon.h"
#include "desired.h"
#include "log.h"
#include "model.h"
#include "modules.h"
#include "ruleset.h"
#include "server.h"
#include "status.h"

#define DEFAULT_CONFIG "/etc/byway/node.json"
#define ABOUT	       "one Layer 2 network across nodes: a namespace with bridge and VXLAN a network"

/* Drift nobody announces (an FDB entry, a lease table) is found by looking. */
static const struct timeval check_interval = {.tv_sec = 30};

/* A pod's start makes a handful of events: one look for all of them. */
static const struct timeval settle_time = {.tv_usec = 500000};

struct loop {
	struct node_agent agent;
	const char *config_file;
	struct event_base *base;
	struct event *term, *interrupt, *hangup, *check, *links, *nftables, *settled;
	int watch_links, watch_nftables;
};

/* Without a prefix: the text begins with the file's name where the configuration is at fault. */
static enum exit_status fail(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	return err->code == -EINVAL ? EXIT_CONFIG : EXIT_RUNTIME;
}

/* --- --dry-run --- */

/* What is there now; a namespace that is still to be made has nothing. */
static int look(const struct node_config *config, const struct object_list *wanted,
		struct node_model *ret, struct err *err)
{
	auto_net struct net *net = NULL;
	struct stat st;
	int r;

	if (stat(config->netns, &st) < 0 && errno == ENOENT)
		return 0;
	r = net_open(config->netns, &net, err);
	return r < 0 ? r : net_observe(net, wanted, &ret->objects, err);
}

static enum exit_status dry_run(const struct node_config *config, const char *model_file)
{
	auto_node_model struct node_model model = {0};
	auto_object_list struct object_list wanted = {0};
	auto_plan struct plan plan = {0};
	auto_strbuf struct strbuf text = {0};
	struct err err;
	int r = model_file ? node_model_load(model_file, &model, &err)
			   : node_underlay_mtu(&node_config_self(config)->address,
					       &model.underlay_mtu, &err);

	if (r == 0)
		r = node_config_check_underlay(config, model.underlay_mtu, &err);
	if (r < 0)
		return fail(&err);
	node_desired(config, model.underlay_mtu, &wanted);
	if (!model_file && look(config, &wanted, &model, &err) < 0)
		return fail(&err);
	plan_make(&wanted, &model.objects, &plan);
	plan_print(&plan, true, &text);
	node_ruleset(config, &text);
	fputs(strbuf_text(&text), stdout);
	return EXIT_OK;
}

/* --- the loop --- */

static void pass(struct loop *loop)
{
	struct err err;

	if (node_apply(&loop->agent, &err) == 0)
		log_debug("pass", "passes=%llu", (unsigned long long)loop->agent.passes);
}

static void on_check(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	pass(data);
}

static void on_change(evutil_socket_t fd, short what, void *data)
{
	struct loop *loop = data;

	(void)what;
	net_watch_drain(fd);
	if (!event_pending(loop->settled, EV_TIMEOUT, NULL))
		event_add(loop->settled, &settle_time);
}

static void on_stop(evutil_socket_t fd, short what, void *data)
{
	struct loop *loop = data;

	(void)what;
	log_info("leaving, the data plane stays", "signal=%d", (int)fd);
	event_base_loopbreak(loop->base);
}

/* What is opened once and for all at the start. */
static bool needs_restart(const struct node_config *a, const struct node_config *b)
{
	return strcmp(a->netns, b->netns) != 0 || strcmp(a->socket, b->socket) != 0 ||
	       strcmp(a->lease_dir, b->lease_dir) != 0 ||
	       !addr_equal(&a->metrics.address, &b->metrics.address) ||
	       a->metrics.port != b->metrics.port;
}

static int reload(struct loop *loop, struct err *err)
{
	auto_node_config struct node_config config = {0};
	int r = node_config_load(loop->config_file, &config, err);

	if (r < 0)
		return r;
	if (needs_restart(&loop->agent.config, &config))
		return err_set(err, -EINVAL,
			       "%s: netns, leaseDir, socket and metrics change by a restart only",
			       loop->config_file);
	return node_agent_configure(&loop->agent, &config, err);
}

static void on_hangup(evutil_socket_t fd, short what, void *data)
{
	struct loop *loop = data;
	struct err err;

	(void)fd, (void)what;
	if (reload(loop, &err) < 0) {
		log_error("configuration refused, the old one stays", "error='%s'", err.text);
		return;
	}
	log_info("configuration reloaded", "networks=%zu nodes=%zu", loop->agent.config.networks.n,
		 loop->agent.config.nodes.n);
	pass(loop);
}

static void loop_free(struct loop *loop)
{
	struct event *const events[] = {loop->term,  loop->interrupt, loop->hangup, loop->check,
					loop->links, loop->nftables,  loop->settled};

	for (size_t i = 0; i < array_len(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (loop->base)
		event_base_free(loop->base);
	cleanup_close(&loop->watch_links);
	cleanup_close(&loop->watch_nftables);
	node_agent_free(&loop->agent);
}

static int watch_kernel(struct loop *loop, struct err *err)
{
	struct net *net = loop->agent.net;

	loop->watch_links = net_watch(net, NET_WATCH_LINKS, err);
	if (loop->watch_links < 0)
		return loop->watch_links;
	loop->watch_nftables = net_watch(net, NET_WATCH_NFTABLES, err);
	return loop->watch_nftables < 0 ? loop->watch_nftables : 0;
}

static int loop_prepare(struct loop *loop, struct err *err)
{
	int r = watch_kernel(loop, err);

	if (r < 0)
		return r;
	loop->base = event_base_new();
	if (!loop->base)
		return err_errno(err, -ENOMEM, "event loop");
	loop->term = evsignal_new(loop->base, SIGTERM, on_stop, loop);
	loop->interrupt = evsignal_new(loop->base, SIGINT, on_stop, loop);
	loop->hangup = evsignal_new(loop->base, SIGHUP, on_hangup, loop);
	loop->check = event_new(loop->base, -1, EV_PERSIST, on_check, loop);
	loop->links =
		event_new(loop->base, loop->watch_links, EV_READ | EV_PERSIST, on_change, loop);
	loop->nftables =
		event_new(loop->base, loop->watch_nftables, EV_READ | EV_PERSIST, on_change, loop);
	loop->settled = evtimer_new(loop->base, on_check, loop);
	if (event_add(loop->term, NULL) < 0 || event_add(loop->interrupt, NULL) < 0 ||
	    event_add(loop->hangup, NULL) < 0 || event_add(loop->check, &check_interval) < 0 ||
	    event_add(loop->links, NULL) < 0 || event_add(loop->nftables, NULL) < 0)
		return err_errno(err, -ENOMEM, "event loop");
	return 0;
}

static enum exit_status serve(struct loop *loop)
{
	const struct node_config *config = &loop->agent.config;
	const struct obs_callbacks callbacks = node_status_callbacks(&loop->agent);
	struct obs *obs;
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	if (loop_prepare(loop, &err) < 0 ||
	    obs_start(loop->base, &config->metrics.address, (uint16_t)config->metrics.port,
		      config->socket, &callbacks, &obs, &err) < 0) {
		fail(&err);
		return EXIT_RUNTIME;
	}
	log_info("running", "node=%s networks=%zu nodes=%zu", config->node, config->networks.n,
		 config->nodes.n);
	event_base_dispatch(loop->base);
	obs_stop(obs);
	return EXIT_OK;
}

static void load_modules(void)
{
	auto_strbuf struct strbuf missing = {0};

	node_modules_load(&missing);
	if (missing.len)
		log_warn("modules not loaded, part of the kernel or missing", "modules=\"%s\"",
			 missing.s);
}

static enum exit_status run(const struct daemon_options *options, struct node_config *config)
{
	__attribute__((cleanup(loop_free))) struct loop loop = {
		.config_file = options->config,
		.watch_links = -1,
		.watch_nftables = -1,
	};
	struct err err;

	if (node_agent_configure(&loop.agent, config, &err) < 0)
		return fail(&err);
	load_modules();
	if (node_prepare(&loop.agent, &err) < 0) {
		fail(&err);
		return EXIT_RUNTIME;
	}
	/* A daemon goes on and tries again: what can be done has been, and /readyz tells. */
	if (node_apply(&loop.agent, &err) < 0 && options->once)
		return EXIT_RUNTIME;
	return options->once ? EXIT_OK : serve(&loop);
}

int main(int argc, char **argv)
{
	auto_node_config struct node_config config = {0};
	struct daemon_options options;
	struct err err;

	daemon_options_parse(argc, argv, DEFAULT_CONFIG, ABOUT, &options);
	if (node_config_load(options.config, &config, &err) < 0) {
		fail(&err);
		return EXIT_CONFIG;
	}
	if (options.check) {
		printf("%s: good\n", options.config);
		return EXIT_OK;
	}
	if (options.dry_run)
		return dry_run(&config, options.model);
	return run(&options, &config);
}

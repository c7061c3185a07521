#include "router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "desired.h"
#include "health.h"
#include "log.h"
#include "mem.h"

/* After the farewell: packets that are on their way find this router a little longer. */
#define LINGER_MS 1000

/* Between two looks at the kernel for what others changed. */
#define RECONCILE_S 30

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t router_now_ms(void)
{
	return now_us() / 1000;
}

enum ha_state router_state(const struct router *router)
{
	/* Before ha_start() returns there is no election. */
	return router->ha ? ha_holding_state(router->ha, 0) : HA_INIT;
}

/* --- election --- */

static void on_promoted(size_t index, void *data)
{
	struct router *router = data;
	int64_t from = now_us();
	struct err err;

	router->model.promoted = true;
	if (apply_update(&router->apply, &router->config, &router->model, &err) < 0)
		log_error("promotion is not complete", "error=\"%s\"", err.text);
	router->promotions.n++;
	router->promotions.at = router_now_ms();
	router->promotions.took_us = (unsigned int)(now_us() - from);
	router->role_since = router->promotions.at;
	log_info("promoted", "gate=open took_us=%u exits_up=%zu", router->promotions.took_us,
		 model_exits_up(&router->model));
}

static void router_shut(struct router *router)
{
	struct err err;

	router->model.promoted = false;
	if (apply_update(&router->apply, &router->config, &router->model, &err) < 0)
		log_error("cannot shut the gate", "error=\"%s\"", err.text);
}

static void on_demoted(size_t index, void *data)
{
	struct router *router = data;

	router_shut(router);
	router->role_since = router_now_ms();
	log_info("demoted", "gate=shut state=%s", ha_state_name(router_state(router)));
}

static void on_daemon_ended(const char *name, int status, unsigned int retry_ms, void *data)
{
	log_warn("daemon ended", "name=%s status=%d retry_ms=%u", name, status, retry_ms);
}

static int own_address(struct router *router, const char *interface, const struct prefix *within,
		       struct addr *ret, struct err *err)
{
	auto_free struct prefix *addrs = NULL;
	size_t n = 0;
	int r = net_link_addresses(router->apply.net, interface, &addrs, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (addrs[i].addr.family == AF_INET &&
		    (!within || prefix_contains(within, &addrs[i].addr))) {
			*ret = addrs[i].addr;
			return 0;
		}
	}
	return err_set(err, -EADDRNOTAVAIL, "%s has no address%s", interface,
		       within ? " of network.subnet" : "");
}

static int election_start(struct router *router, struct err *err)
{
	const struct router_config *config = &router->config;
	const struct addr ignore[] = {config->vip, router->address};
	const struct ha_callbacks callbacks = {.promoted = on_promoted,
					       .demoted = on_demoted,
					       .daemon_ended = on_daemon_ended,
					       .data = router};
	struct ha_holding vip = {.name = VIP_DEVICE,
				 .priority = (uint8_t)config->priority,
				 .addr = config->vip,
				 .dev = VIP_DEVICE};
	struct ha_config ha = {.router_id = "byway-router",
			       .group = (uint8_t)config->sync.group,
			       .holdings = &vip,
			       .n_holdings = 1,
			       .ignore = ignore,
			       .n_ignore = array_len(ignore),
			       .advert_ms = config->sync.advert_ms};
	int r = ha_vrid(&config->vip, &vip.vrid, err);

	if (r >= 0)
		r = own_address(router, config->sync.interface, NULL, &ha.sync_addr, err);
	if (r < 0)
		return r;
	memcpy(ha.sync_interface, config->sync.interface, sizeof(ha.sync_interface));
	memcpy(ha.track, config->network.interface, sizeof(ha.track));
	return ha_start(router->base, config->run_dir, &ha, &callbacks, &router->ha, err);
}

/* --- health --- */

static void exit_changed(struct router *router, size_t index, enum exit_state from)
{
	const struct model_exit *exit = &router->model.exits[index];
	char addr[ADDR_STRLEN];
	struct err err;
	int64_t start = now_us();

	if (apply_update(&router->apply, &router->config, &router->model, &err) < 0)
		log_error("exit's change is not complete", "error=\"%s\"", err.text);
	log_info("exit", "name=%s address=%s from=%s to=%s weight=%u applied_us=%u", exit->name,
		 addr_format(&exit->addr, addr), exit_state_name(from),
		 exit_state_name(exit->state), exit->weight, (unsigned int)(now_us() - start));
}

static void on_health(size_t index, const struct health_document *document, void *data)
{
	struct router *router = data;
	struct model_exit *exit = &router->model.exits[index];
	const struct exit_rules rules = {router->config.health.up, router->config.health.down,
					 router->config.health.grace_ms};
	enum exit_state from = exit->state;
	bool changed = exit_health_step(&router->exits[index], &rules,
					document ? document->answer : ANSWER_NONE, router_now_ms());

	exit->state = router->exits[index].state;
	if (document) {
		memcpy(exit->name, document->name, sizeof(exit->name));
		changed |= exit->weight != document->weight;
		exit->weight = document->weight;
	}
	if (changed)
		exit_changed(router, index, from);
}

/* --- life --- */

static void on_reconcile(evutil_socket_t fd, short what, void *data)
{
	struct router *router = data;
	struct err err;

	if (apply_reconcile(&router->apply, &router->config, &router->model, &err) < 0)
		log_error("cannot repair", "error=\"%s\"", err.text);
}

/* The interface is there before the pod's containers are: without it there is nothing to do here.
 */
static int check_interface(struct router *router, struct err *err)
{
	const struct router_config *config = &router->config;
	struct link_object link;
	int r = net_link_get(router->apply.net, config->network.interface, &link, err);

	if (r < 0)
		return r;
	if (config->mtu > link.mtu)
		return err_set(err, -EMSGSIZE, "mtu: %u is larger than that of %s, %u", config->mtu,
			       config->network.interface, link.mtu);
	return own_address(router, config->network.interface, &config->network.subnet,
			   &router->address, err);
}

static int router_run(struct router *router, struct err *err)
{
	static const struct timeval interval = {.tv_sec = RECONCILE_S};
	int r = apply_open(&router->apply, err);

	if (r >= 0)
		r = check_interface(router, err);
	if (r >= 0)
		r = apply_reconcile(&router->apply, &router->config, &router->model, err);
	if (r >= 0)
		r = election_start(router, err);
	if (r < 0)
		return r;
	router->health =
		health_start(router->base, &router->config, &router->model, on_health, router);
	router->reconcile = event_new(router->base, -1, EV_PERSIST, on_reconcile, router);
	event_add(router->reconcile, &interval);
	return 0;
}

int router_start(struct event_base *base, struct router_config *config, struct router **ret,
		 struct err *err)
{
	struct router *router = xcalloc(1, sizeof(*router));
	int r;

	router->base = base;
	router->config = *config;
	*config = (struct router_config){0};
	router->role_since = router_now_ms();
	model_init(&router->model, &router->config);
	router->exits = xcalloc(router->model.n_exits, sizeof(*router->exits));
	r = router_run(router, err);
	if (r < 0) {
		router_free(router);
		return r;
	}
	*ret = router;
	return 0;
}

static void on_stopped(void *data)
{
	struct router *router = data;

	router_shut(router);
	log_info("stopped", "gate=shut");
	event_base_loopbreak(router->base);
}

void router_stop(struct router *router)
{
	if (router->stopping)
		return;
	router->stopping = true;
	log_info("stopping", "role=%s", ha_state_name(router_state(router)));
	ha_stop(router->ha, LINGER_MS, on_stopped, router);
}

int router_reload(struct router *router, struct router_config *config, struct err *err)
{
	if (!router_config_reloadable(&router->config, config))
		return err_set(err, -EINVAL,
			       "only clients, identities, intranet and health change without a "
			       "restart");
	router_config_free(&router->config);
	router->config = *config;
	*config = (struct router_config){0};
	health_stop(router->health);
	router->health =
		health_start(router->base, &router->config, &router->model, on_health, router);
	return apply_update(&router->apply, &router->config, &router->model, err);
}

void router_free(struct router *router)
{
	if (router->reconcile)
		event_free(router->reconcile);
	health_stop(router->health);
	ha_free(router->ha);
	apply_close(&router->apply);
	model_free(&router->model);
	router_config_free(&router->config);
	free(router->exits);
	free(router);
}

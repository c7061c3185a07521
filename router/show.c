#include <stdio.h>

#include "desired.h"
#include "router.h"
#include "version.h"

static const char *role_name(const struct router *router)
{
	if (router->model.promoted)
		return "active";
	switch (router_state(router)) {
	case HA_BACKUP:
	case HA_MASTER: /* about to be promoted */
		return "standby";
	case HA_INIT:
	case HA_FAULT:
	case HA_CONTESTED: /* never a state */
		return "fault";
	}
	return "";
}

static json_t *exits_json(const struct router *router)
{
	json_t *list = json_array();

	for (size_t i = 0; i < router->model.n_exits; i++) {
		const struct model_exit *exit = &router->model.exits[i];
		char addr[ADDR_STRLEN];

		if (exit->state == EXIT_UNKNOWN)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:i, s:i, s:I}", "name", exit->name, "address",
				  addr_format(&exit->addr, addr), "state",
				  exit_state_name(exit->state), "weight", (int)exit->weight, "mark",
				  (int)EXIT_MARK(i), "since",
				  (json_int_t)((router_now_ms() - router->exits[i].since) / 1000)));
	}
	return list;
}

static json_t *promotion_json(const struct router *router)
{
	if (!router->promotions.n)
		return json_null();
	return json_pack("{s:I, s:f}", "ago",
			 (json_int_t)((router_now_ms() - router->promotions.at) / 1000), "took_ms",
			 (double)router->promotions.took_us / 1000);
}

json_t *router_status(void *data)
{
	const struct router *router = data;
	char vip[ADDR_STRLEN], address[ADDR_STRLEN];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o, s:i, s:o}", "program",
			 "byway-router", "version", BYWAY_VERSION, "role", role_name(router), "vip",
			 addr_format(&router->config.vip, vip), "address",
			 addr_format(&router->address, address), "since",
			 (json_int_t)((router_now_ms() - router->role_since) / 1000), "inSync",
			 ha_in_sync(router->ha), "exits", exits_json(router), "promotions",
			 (int)router->promotions.n, "lastPromotion", promotion_json(router));
}

static int state_value(enum exit_state state)
{
	switch (state) {
	case EXIT_UP:
		return 2;
	case EXIT_SUSPECT:
		return 1;
	case EXIT_DOWN:
	case EXIT_UNKNOWN:
		return 0;
	}
	return 0;
}

void router_metrics(struct strbuf *b, void *data)
{
	const struct router *router = data;
	char addr[ADDR_STRLEN];

	strbuf_add(
		b,
		"# HELP byway_router_active Whether this router holds the VIP with its gate open.\n"
		"# TYPE byway_router_active gauge\n"
		"byway_router_active %d\n"
		"# HELP byway_router_in_sync Whether the peer's flows arrive here.\n"
		"# TYPE byway_router_in_sync gauge\n"
		"byway_router_in_sync %d\n"
		"# HELP byway_router_promotions_total Times this router was promoted.\n"
		"# TYPE byway_router_promotions_total counter\n"
		"byway_router_promotions_total %u\n"
		"# HELP byway_router_promotion_seconds From the last election to the open gate.\n"
		"# TYPE byway_router_promotion_seconds gauge\n"
		"byway_router_promotion_seconds %.6f\n"
		"# HELP byway_exit_state State of an exit: 0 down, 1 suspect, 2 up.\n"
		"# TYPE byway_exit_state gauge\n",
		router->model.promoted, ha_in_sync(router->ha), router->promotions.n,
		router->promotions.took_us / 1e6);
	for (size_t i = 0; i < router->model.n_exits; i++) {
		const struct model_exit *exit = &router->model.exits[i];

		if (exit->state == EXIT_UNKNOWN)
			continue;
		strbuf_add(b, "byway_exit_state{exit=\"%s\",address=\"%s\"} %d\n", exit->name,
			   addr_format(&exit->addr, addr), state_value(exit->state));
	}
}

bool router_ready(char *why, size_t size, void *data)
{
	const struct router *router = data;
	size_t up = model_exits_up(&router->model);

	if (router->stopping) {
		snprintf(why, size, "handing over");
		return false;
	}
	if (router->model.promoted) {
		snprintf(why, size, "active, %zu exits up", up);
		return up;
	}
	if (router_state(router) != HA_BACKUP) {
		snprintf(why, size, "%s: takes no part in the election",
			 ha_state_name(router_state(router)));
		return false;
	}
	snprintf(why, size, "standby, %s", ha_in_sync(router->ha) ? "in sync" : "peer not heard");
	return ha_in_sync(router->ha);
}

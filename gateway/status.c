#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "cleanup.h"
#include "version.h"

/* What an exit is at this member: "active", "standby" or "fault". */
static const char *state_name(const struct exit_model *x)
{
	if (x->state == HA_FAULT)
		return "fault";
	return x->held ? "active" : "standby";
}

/* Seconds since the last handshake, -1: none yet. */
static int64_t handshake_age(const struct exit_model *x, int64_t now)
{
	if (!x->last_handshake)
		return -1;
	return now > x->last_handshake ? now - x->last_handshake : 0;
}

static json_t *exit_status(const struct exit_config *exit, const struct exit_model *x, int64_t now)
{
	int64_t age = handshake_age(x, now);
	char addr[ADDR_STRLEN];

	return json_pack("{ss ss ss so sI so sI sI sI sI}", "name", exit->name, "address",
			 addr_format(&exit->address, addr), "state", state_name(x), "health",
			 x->held ? json_string(exit_health_name(x->health)) : json_null(), "since",
			 (json_int_t)x->since, "handshakeAgeSeconds",
			 x->held && age >= 0 ? json_integer(age) : json_null(), "rxBytes",
			 (json_int_t)x->rx_bytes, "txBytes", (json_int_t)x->tx_bytes, "takeovers",
			 (json_int_t)x->takeovers, "rekeys", (json_int_t)x->rekeys);
}

json_t *status_document(const struct gateway_config *config, const struct model *m, int64_t now)
{
	json_t *exits = json_array();

	for (size_t i = 0; i < config->exits.n; i++)
		json_array_append_new(exits,
				      exit_status(config_exit(config, i), &m->exits[i], now));
	return json_pack("{ss ss sI so}", "program", "byway-gateway", "version", BYWAY_VERSION,
			 "member", (json_int_t)config->member, "exits", exits);
}

json_t *status_health(const struct gateway_config *config, const struct model *m,
		      const struct addr *local)
{
	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit_config *exit = config_exit(config, i);
		const struct exit_model *x = &m->exits[i];

		if (!addr_equal(&exit->address, local) || !x->held)
			continue;
		return json_pack("{ss ss sI sn si}", "exit", exit->name, "state",
				 exit_health_name(x->health), "since", (json_int_t)x->since,
				 "publicAddress", "weight", 1);
	}
	return NULL;
}

/* --- metrics --- */

static void metric_head(struct strbuf *b, const char *name, const char *type, const char *help)
{
	strbuf_add(b, "# HELP byway_%s %s\n# TYPE byway_%s %s\n", name, help, name, type);
}

static void metric(struct strbuf *b, const char *name, const struct exit_config *exit,
		   int64_t value)
{
	strbuf_add(b, "byway_%s{exit=\"%s\"} %" PRId64 "\n", name, exit->name, value);
}

void status_metrics(const struct gateway_config *config, const struct model *m, int64_t now,
		    struct strbuf *b)
{
	const struct exit_config *exits = config->exits.items;
	const struct exit_model *x = m->exits;
	size_t n = config->exits.n;

	metric_head(b, "exit_active", "gauge", "1 where this member holds the exit.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_active", &exits[i], x[i].held);
	metric_head(b, "exit_healthy", "gauge", "1 where the exit's tunnel passes packets.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_healthy", &exits[i], x[i].held && x[i].health == HEALTH_UP);
	metric_head(b, "exit_handshake_age_seconds", "gauge",
		    "Since the last WireGuard handshake, -1 where there was none.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_handshake_age_seconds", &exits[i], handshake_age(&x[i], now));
	metric_head(b, "exit_takeovers_total", "counter", "Promotions of this member.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_takeovers_total", &exits[i], (int64_t)x[i].takeovers);
	metric_head(b, "exit_rekeys_total", "counter",
		    "Sessions with the provider that this member let begin anew.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_rekeys_total", &exits[i], (int64_t)x[i].rekeys);
	metric_head(b, "exit_received_bytes", "gauge",
		    "From the provider since the tunnel came up.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_received_bytes", &exits[i], (int64_t)x[i].rx_bytes);
	metric_head(b, "exit_sent_bytes", "gauge", "To the provider since the tunnel came up.");
	for (size_t i = 0; i < n; i++)
		metric(b, "exit_sent_bytes", &exits[i], (int64_t)x[i].tx_bytes);
}

bool status_ready(const struct gateway_config *config, const struct model *m, bool in_sync,
		  char *why, size_t size)
{
	size_t held = 0;

	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit_model *x = &m->exits[i];

		if (x->state == HA_FAULT) {
			snprintf(why, size, "exit %s: election in fault",
				 config_exit(config, i)->name);
			return false;
		}
		if (!x->held)
			continue;
		held++;
		if (x->health == HEALTH_UP)
			continue;
		snprintf(why, size, "exit %s: %s", config_exit(config, i)->name,
			 exit_health_name(x->health));
		return false;
	}
	if (held < config->exits.n && !in_sync) {
		snprintf(why, size, "standby for %zu exits, not in sync", config->exits.n - held);
		return false;
	}
	snprintf(why, size, "active for %zu of %zu exits", held, config->exits.n);
	return true;
}

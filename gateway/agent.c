/* Theory of operation
 *
 * Start: kill switch, devices (tunnels down), then the election. From there on everything is an
 * answer to an event:
 *
 *	promoted	tunnel up, route, interface up, first probe
 *	demoted		interface and tunnel down
 *	every second	a sign of life (desired.c: the dead man's handle), counters
 *	every 30 s	a look at the kernel; repairs what somebody changed
 *	SIGHUP		the new configuration, whole or not at all
 *	SIGTERM		hand-over: keepalived resigns, packets on their way are still forwarded
 *			for a second, then interfaces and tunnels go down
 *
 * Where both members held an exit for a moment (a starved election, a split that heals), the
 * provider's session belongs to whoever spoke last, and the other one's packets are answered with
 * keys that it does not know. WireGuard itself would notice after 15 s
 * (drivers/net/wireguard/timers.c). keepalived tells of it, and at the next second, when the peer has
 * stepped back, the tunnel begins anew with a handshake. Only then: a session thrown away for a
 * missed probe makes a short gap a long one.
 *
 * At a takeover the answer to the first handshake may go astray: it is sent to where the provider heard
 * from last, and for a moment that is the former holder, which still forwards. WireGuard would ask again
 * after 5 s; the agent lets the session begin anew after 300 ms.
 *
 * A change of what is elected, or of where the agent listens, is a hand-over followed by a start
 * with the new configuration (`next`).
 */
#include "agent.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apply.h"
#include "cleanup.h"
#include "daemon.h"
#include "desired.h"
#include "ha.h"
#include "log.h"
#include "mem.h"
#include "model.h"
#include "net.h"
#include "probe.h"
#include "resolve.h"
#include "server.h"
#include "status.h"

#define LINGER_MS	1000
#define RECONCILE_TICKS 30
#define PROBE_ID	0x6200 /* and the exit's number */

/* From a takeover until a handshake that was not answered is sent again, and then twice as long each
 * time, until WireGuard does so itself (REKEY_TIMEOUT, drivers/net/wireguard/messages.h). */
#define HANDSHAKE_FIRST_MS 300
#define HANDSHAKE_LAST_MS  2400

struct agent;

/* What a probe's callback needs to know. */
struct probed_exit {
	struct agent *agent;
	size_t i;
	struct probe *probe; /* NULL while standby */
	struct event *handshake_due;
	unsigned int handshake_ms; /* how long it waits */
	int64_t handshake_before;  /* the last one of an earlier session */
};

struct agent {
	const char *file;
	struct gateway_config config;
	struct gateway_config *next; /* to be started with after the hand-over; NULL: leave */
	struct model model;
	struct event_base *base;
	struct net *net;
	struct ha *ha;
	struct obs *obs, *health;
	struct resolver *resolver;
	struct probed_exit *probes;
	struct event *tick, *sigterm, *sigint, *sighup;
	unsigned int ticks;
	bool dirty;    /* something could not be applied: look at the kernel soon */
	bool stopping; /* handing over: nothing is changed until it is done */
	int status;
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const char *exit_name(const struct agent *a, size_t i)
{
	return config_exit(&a->config, i)->name;
}

/* --- exits --- */

static void set_health(struct agent *a, size_t i, enum exit_health health)
{
	a->model.exits[i].health = health;
	a->model.exits[i].since = now_s();
}

static void on_health(enum exit_health health, void *data)
{
	const struct probed_exit *p = data;
	struct agent *a = p->agent;
	struct err err = {0};
	int r;

	set_health(a, p->i, health);
	log_info("exit health changed", "exit=%s health=%s", exit_name(a, p->i),
		 exit_health_name(health));
	if (health == HEALTH_DOWN)
		r = apply_exit_down(a->net, &a->config, &a->model, p->i, &err);
	else
		r = apply_signs(a->net, &a->config, &a->model, &err);
	if (r < 0)
		log_error("forwarding does not follow the exit's health", "exit=%s why=\"%s\"",
			  exit_name(a, p->i), err.text);
}

static void stop_probe(struct agent *a, size_t i)
{
	if (a->probes[i].probe)
		probe_stop(a->probes[i].probe);
	a->probes[i].probe = NULL;
}

static void start_probe(struct agent *a, size_t i)
{
	char dev[IFNAMSIZ];
	struct err err = {0};

	stop_probe(a, i);
	a->model.exits[i].contested = false;
	set_health(a, i, HEALTH_STARTING);
	desired_tunnel_name(config_exit(&a->config, i), dev);
	if (probe_start(a->base, &a->config.probe, dev, (uint16_t)(PROBE_ID + i), on_health,
			&a->probes[i], &a->probes[i].probe, &err) == 0)
		return;
	/* What cannot be measured is not up. */
	log_error("exit cannot be probed", "exit=%s why=\"%s\"", exit_name(a, i), err.text);
	set_health(a, i, HEALTH_DOWN);
	a->dirty = true;
}

/* --- the first handshake --- */

static void await_handshake(struct probed_exit *p, unsigned int ms)
{
	const struct timeval wait = {.tv_sec = ms / 1000,
				     .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	p->handshake_ms = ms;
	event_add(p->handshake_due, &wait);
}

static void on_handshake_due(evutil_socket_t fd, short what, void *data)
{
	struct probed_exit *p = data;
	struct agent *a = p->agent;
	struct exit_model *x = &a->model.exits[p->i];
	struct err err = {0};

	(void)fd, (void)what;
	if (a->stopping || !x->held || x->health == HEALTH_UP ||
	    apply_observe_tunnel(a->net, &a->config, &a->model, p->i, &err) < 0 ||
	    x->last_handshake != p->handshake_before)
		return;
	log_info("no handshake yet, the tunnel begins anew", "exit=%s waited_ms=%u",
		 exit_name(a, p->i), p->handshake_ms);
	x->rekeys++;
	p->handshake_before = 0;
	if (apply_rekey(a->net, &a->config, &a->model, p->i, &err) < 0)
		log_warn("tunnel cannot begin anew", "exit=%s why=\"%s\"", exit_name(a, p->i),
			 err.text);
	if (p->handshake_ms < HANDSHAKE_LAST_MS)
		await_handshake(p, 2 * p->handshake_ms);
}

/* --- promoted, demoted --- */

static void on_promoted(size_t i, void *data)
{
	struct agent *a = data;
	struct exit_model *x = &a->model.exits[i];
	int64_t start = now_us();
	struct err err = {0};

	x->state = HA_MASTER;
	if (x->held)
		return;
	x->held = true;
	x->takeovers++;
	if (apply_exit(a->net, &a->config, &a->model, &err) < 0) {
		log_error("exit not taken over completely", "exit=%s why=\"%s\"", exit_name(a, i),
			  err.text);
		a->dirty = true;
	}
	start_probe(a, i);
	if (apply_observe_tunnel(a->net, &a->config, &a->model, i, &err) == 0) {
		a->probes[i].handshake_before = x->last_handshake;
		await_handshake(&a->probes[i], HANDSHAKE_FIRST_MS);
	}
	log_info("exit taken over", "exit=%s took_us=%lld", exit_name(a, i),
		 (long long)(now_us() - start));
}

static void on_demoted(size_t i, void *data)
{
	struct agent *a = data;
	struct exit_model *x = &a->model.exits[i];
	struct err err = {0};

	x->state = ha_holding_state(a->ha, i);
	if (!x->held)
		return;
	x->held = false;
	x->last_handshake = 0;
	set_health(a, i, HEALTH_STARTING);
	if (apply_exit(a->net, &a->config, &a->model, &err) < 0) {
		log_error("exit not given up completely", "exit=%s why=\"%s\"", exit_name(a, i),
			  err.text);
		a->dirty = true;
	}
	stop_probe(a, i);
	event_del(a->probes[i].handshake_due);
	log_info("exit given up", "exit=%s state=%s", exit_name(a, i), ha_state_name(x->state));
}

static void on_contested(size_t i, void *data)
{
	struct agent *a = data;

	a->model.exits[i].contested = true;
}

static void on_daemon_ended(const char *name, int status, unsigned int retry_ms, void *data)
{
	(void)data;
	log_error("daemon ended", "name=%s status=%d retry_ms=%u", name, status, retry_ms);
}

static void on_resolved(size_t i, size_t peer, const struct sockaddr_storage *addr, void *data)
{
	struct agent *a = data;
	struct err err = {0};

	a->model.exits[i].endpoints[peer] = *addr;
	log_info("endpoint resolved", "exit=%s peer=%zu", exit_name(a, i), peer);
	if (!a->stopping && apply_devices(a->net, &a->config, &a->model, &err) < 0) {
		log_error("tunnels not configured", "why=\"%s\"", err.text);
		a->dirty = true;
	}
}

static void on_unresolved(size_t i, size_t peer, const char *why, void *data)
{
	const struct agent *a = data;

	log_warn("endpoint not resolved", "exit=%s peer=%zu why=\"%s\"", exit_name(a, i), peer,
		 why);
}

/* --- every second --- */

static void reconcile(struct agent *a)
{
	struct err err = {0};

	a->dirty = false;
	if (apply_all(a->net, &a->config, &a->model, &err) == 0)
		return;
	log_error("not all is as it should be", "why=\"%s\"", err.text);
	a->dirty = true;
}

/* Once a second, of an exit that is held. */
static void tend_tunnel(struct agent *a, size_t i)
{
	struct exit_model *x = &a->model.exits[i];
	struct err err = {0};

	if (x->contested) {
		x->contested = false;
		x->rekeys++;
		log_warn("both members held the exit, its tunnel begins anew", "exit=%s",
			 exit_name(a, i));
		if (apply_rekey(a->net, &a->config, &a->model, i, &err) < 0)
			log_warn("tunnel cannot begin anew", "exit=%s why=\"%s\"", exit_name(a, i),
				 err.text);
	}
	if (apply_observe_tunnel(a->net, &a->config, &a->model, i, &err) < 0)
		log_warn("tunnel cannot be read", "exit=%s why=\"%s\"", exit_name(a, i), err.text);
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	struct agent *a = data;
	struct err err = {0};

	(void)fd, (void)what;
	if (apply_signs(a->net, &a->config, &a->model, &err) < 0)
		log_error("signs of life cannot be given", "why=\"%s\"", err.text);
	if (a->stopping)
		return;
	for (size_t i = 0; i < a->model.n_exits; i++) {
		a->model.exits[i].state = ha_holding_state(a->ha, i);
		if (!a->model.exits[i].held)
			continue;
		if (!a->probes[i].probe)
			start_probe(a, i);
		tend_tunnel(a, i);
	}
	if (++a->ticks % RECONCILE_TICKS == 0 || a->dirty)
		reconcile(a);
}

/* --- what it shows --- */

static json_t *show_status(void *data)
{
	const struct agent *a = data;

	return status_document(&a->config, &a->model, now_s());
}

static void show_metrics(struct strbuf *b, void *data)
{
	const struct agent *a = data;

	status_metrics(&a->config, &a->model, now_s(), b);
}

static bool show_ready(char *why, size_t size, void *data)
{
	const struct agent *a = data;

	return status_ready(&a->config, &a->model, a->ha && ha_in_sync(a->ha), why, size);
}

static json_t *show_health(const struct addr *local, int *code, void *data)
{
	const struct agent *a = data;

	(void)code;
	return status_health(&a->config, &a->model, local);
}

/* Two listeners: the health document has a port of its own, the only one that the network reaches.
 */
static int start_obs(struct agent *a, struct err *err)
{
	const struct obs_callbacks callbacks = {show_status, show_metrics, show_ready, a};
	const struct obs_callbacks none = {.data = a};
	const struct addr any = {.family = AF_INET};

	if (obs_start(a->base, &a->config.metrics_address, (uint16_t)a->config.metrics_port,
		      a->config.socket, &callbacks, &a->obs, err) < 0 ||
	    obs_start(a->base, &any, (uint16_t)a->config.health_port, NULL, &none, &a->health,
		      err) < 0)
		return err->code;
	obs_handle(a->health, "/health", show_health, a);
	return 0;
}

/* --- elections --- */

/* Flows of the agent itself must not reach the peer: those of the way to the providers and of the
 * exits' own addresses. *ret is owned by the caller. */
static int own_addresses(struct agent *a, struct addr **ret, size_t *n, struct err *err)
{
	auto_free struct prefix *track = NULL;
	size_t n_track;

	if (net_link_addresses(a->net, a->config.track, &track, &n_track, err) < 0)
		return err_wrap(err, "track");
	*ret = xcalloc(n_track + a->config.exits.n, sizeof(**ret));
	*n = 0;
	for (size_t i = 0; i < n_track; i++) {
		if (track[i].addr.family == AF_INET)
			(*ret)[(*n)++] = track[i].addr;
	}
	for (size_t i = 0; i < a->config.exits.n; i++)
		(*ret)[(*n)++] = config_exit(&a->config, i)->address;
	return 0;
}

static int sync_address(struct agent *a, struct addr *ret, struct err *err)
{
	auto_free struct prefix *list = NULL;
	size_t n;

	if (net_link_addresses(a->net, a->config.sync_interface, &list, &n, err) < 0)
		return err_wrap(err, "sync.interface");
	for (size_t i = 0; i < n; i++) {
		if (list[i].addr.family != AF_INET)
			continue;
		*ret = list[i].addr;
		return 0;
	}
	return err_set(err, -EADDRNOTAVAIL, "sync.interface: %s has no IPv4 address",
		       a->config.sync_interface);
}

static int start_ha(struct agent *a, struct err *err)
{
	const struct ha_callbacks callbacks = {on_promoted, on_demoted, on_contested,
					       on_daemon_ended, a};
	auto_free struct ha_holding *holdings = xcalloc(a->config.exits.n, sizeof(*holdings));
	auto_free struct addr *ignore = NULL;
	struct ha_config config = {
		.group = (uint8_t)a->config.group,
		.holdings = holdings,
		.n_holdings = a->config.exits.n,
		.advert_ms = a->config.advert_ms,
	};

	for (size_t i = 0; i < a->config.exits.n; i++)
		desired_holding(&a->config, i, &holdings[i]);
	if (gethostname(config.router_id, sizeof(config.router_id) - 1) < 0)
		return err_errno(err, -errno, "host name");
	memcpy(config.sync_interface, a->config.sync_interface, sizeof(config.sync_interface));
	memcpy(config.track, a->config.track, sizeof(config.track));
	if (sync_address(a, &config.sync_addr, err) < 0 ||
	    own_addresses(a, &ignore, &config.n_ignore, err) < 0)
		return err->code;
	config.ignore = ignore;
	return ha_start(a->base, a->config.run_dir, &config, &callbacks, &a->ha, err);
}

/* --- start and end --- */

static void log_notes(const struct gateway_config *config)
{
	for (size_t i = 0; i < config->exits.n; i++) {
		const struct exit_config *exit = config_exit(config, i);

		for (size_t j = 0; j < exit->wg.n_notes; j++)
			log_info("key of a wg-quick file is not followed",
				 "exit=%s line=%u key=%s why=\"%s\"", exit->name,
				 exit->wg.notes[j].line, exit->wg.notes[j].key,
				 exit->wg.notes[j].why);
	}
}

static int start_resolver(struct agent *a, struct err *err)
{
	const struct resolver_callbacks callbacks = {on_resolved, on_unresolved, a};

	return resolver_start(a->base, &a->config, &callbacks, &a->resolver, err);
}

static void make_probes(struct agent *a)
{
	a->probes = xcalloc(a->config.exits.n, sizeof(*a->probes));
	for (size_t i = 0; i < a->config.exits.n; i++) {
		a->probes[i].agent = a;
		a->probes[i].i = i;
		a->probes[i].handshake_due = evtimer_new(a->base, on_handshake_due, &a->probes[i]);
	}
}

static int start(struct agent *a, struct err *err)
{
	a->stopping = false;
	model_init(&a->model, a->config.exits.n);
	make_probes(a);
	model_literal_endpoints(&a->model, &a->config);
	if (apply_check(a->net, &a->config, &a->model, err) < 0)
		return err->code;
	log_notes(&a->config);
	if (apply_all(a->net, &a->config, &a->model, err) < 0 || start_obs(a, err) < 0 ||
	    start_resolver(a, err) < 0 || start_ha(a, err) < 0)
		return err->code;
	log_info("started", "member=%u exits=%zu", a->config.member, a->config.exits.n);
	return 0;
}

/* Frees everything that start() made; the kernel keeps what it has. */
static void stop(struct agent *a)
{
	for (size_t i = 0; a->probes && i < a->config.exits.n; i++) {
		stop_probe(a, i);
		event_free(a->probes[i].handshake_due);
	}
	free(a->probes);
	a->probes = NULL;
	if (a->ha)
		ha_free(a->ha);
	if (a->resolver)
		resolver_stop(a->resolver);
	if (a->obs)
		obs_stop(a->obs);
	if (a->health)
		obs_stop(a->health);
	a->ha = NULL;
	a->resolver = NULL;
	a->obs = a->health = NULL;
	model_free(&a->model);
}

static void leave(struct agent *a, int status)
{
	a->status = status;
	event_base_loopbreak(a->base);
}

static void start_next(struct agent *a)
{
	struct err err = {0};

	stop(a);
	gateway_config_clear(&a->config);
	a->config = *a->next;
	free(steal_ptr(a->next));
	if (start(a, &err) == 0)
		return;
	log_error("cannot start", "why=\"%s\"", err.text);
	leave(a, err.code == -EINVAL ? EXIT_CONFIG : EXIT_RUNTIME);
}

static void on_handed_over(void *data)
{
	struct agent *a = data;
	struct err err = {0};

	for (size_t i = 0; i < a->model.n_exits; i++)
		a->model.exits[i].held = false;
	if (apply_all(a->net, &a->config, &a->model, &err) < 0)
		log_error("tunnels may still be up", "why=\"%s\"", err.text);
	log_info("handed over", "exits=%zu", a->model.n_exits);
	if (a->next)
		start_next(a);
	else
		leave(a, EXIT_OK);
}

/* Probes end first: each would tell the provider that the tunnel ends here, when the peer has it.
 */
static void hand_over(struct agent *a)
{
	a->stopping = true;
	for (size_t i = 0; i < a->model.n_exits; i++)
		stop_probe(a, i);
	ha_stop(a->ha, LINGER_MS, on_handed_over, a);
}

static void on_terminate(evutil_socket_t fd, short what, void *data)
{
	struct agent *a = data;

	(void)what;
	log_info("handing over", "signal=%d", (int)fd);
	if (a->next) {
		gateway_config_clear(a->next);
		free(steal_ptr(a->next));
	}
	if (!a->stopping)
		hand_over(a);
}

/* --- reload --- */

static bool same_listeners(const struct gateway_config *a, const struct gateway_config *b)
{
	return a->health_port == b->health_port && a->metrics_port == b->metrics_port &&
	       addr_equal(&a->metrics_address, &b->metrics_address) &&
	       !strcmp(a->socket, b->socket);
}

/* The new configuration in place of the old one, under the feet of what runs. */
static void replace_config(struct agent *a, struct gateway_config *config)
{
	struct err err = {0};

	if (a->resolver)
		resolver_stop(steal_ptr(a->resolver));
	gateway_config_clear(&a->config);
	a->config = *config;
	*config = (struct gateway_config){0};
	for (size_t i = 0; i < a->model.n_exits; i++)
		memset(a->model.exits[i].endpoints, 0, sizeof(a->model.exits[i].endpoints));
	model_literal_endpoints(&a->model, &a->config);
	log_notes(&a->config);
	reconcile(a);
	if (start_resolver(a, &err) < 0)
		log_error("endpoints cannot be resolved", "why=\"%s\"", err.text);
	for (size_t i = 0; i < a->model.n_exits; i++) {
		if (a->model.exits[i].held)
			start_probe(a, i);
	}
}

static void on_reload(evutil_socket_t fd, short what, void *data)
{
	struct agent *a = data;
	auto_gateway_config struct gateway_config config = {0};
	struct model m = {0};
	struct err err = {0};

	(void)fd, (void)what;
	if (a->stopping)
		return;
	if (gateway_config_load(a->file, &config, &err) < 0 ||
	    apply_check(a->net, &config, &m, &err) < 0) {
		log_error("configuration refused, going on with the old one", "why=\"%s\"",
			  err.text);
		return;
	}
	if (gateway_config_same_holdings(&a->config, &config) &&
	    same_listeners(&a->config, &config)) {
		replace_config(a, &config);
		log_info("configuration replaced", "file=%s", a->file);
		return;
	}
	log_info("configuration changes what is elected, handing over first", "file=%s", a->file);
	a->next = xcalloc(1, sizeof(*a->next));
	*a->next = config;
	config = (struct gateway_config){0};
	hand_over(a);
}

/* --- the loop --- */

static void add_events(struct agent *a)
{
	static const struct timeval second = {.tv_sec = 1};

	a->tick = event_new(a->base, -1, EV_PERSIST, on_tick, a);
	a->sigterm = evsignal_new(a->base, SIGTERM, on_terminate, a);
	a->sigint = evsignal_new(a->base, SIGINT, on_terminate, a);
	a->sighup = evsignal_new(a->base, SIGHUP, on_reload, a);
	if (!a->tick || !a->sigterm || !a->sigint || !a->sighup)
		abort();
	event_add(a->tick, &second);
	event_add(a->sigterm, NULL);
	event_add(a->sigint, NULL);
	event_add(a->sighup, NULL);
}

static void free_events(struct agent *a)
{
	event_free(a->tick);
	event_free(a->sigterm);
	event_free(a->sigint);
	event_free(a->sighup);
}

static int run(struct agent *a)
{
	struct err err = {0};
	int status;

	if (net_open(NULL, &a->net, &err) < 0) {
		log_error("cannot start", "why=\"%s\"", err.text);
		return EXIT_RUNTIME;
	}
	if (start(a, &err) < 0) {
		log_error("cannot start", "why=\"%s: %s\"", a->file, err.text);
		status = err.code == -EINVAL ? EXIT_CONFIG : EXIT_RUNTIME;
	} else {
		add_events(a);
		event_base_dispatch(a->base);
		free_events(a);
		status = a->status;
	}
	stop(a);
	net_close(a->net);
	return status;
}

int agent_run(const char *file, struct gateway_config *config)
{
	struct agent a = {.file = file, .config = *config, .base = event_base_new()};
	int status;

	if (!a.base)
		abort();
	*config = (struct gateway_config){0};
	signal(SIGPIPE, SIG_IGN);
	daemon_real_time();
	status = run(&a);
	gateway_config_clear(&a.config);
	event_base_free(a.base);
	return status;
}

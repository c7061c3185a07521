#pragma once
/* The one failover mechanism: floating addresses elected by keepalived (VRRP v3 over the sync
 * network), flow state carried to the peer by conntrackd. Used alike by routers (the VIP) and
 * gateways (each exit).
 *
 * keepalived elects and owns the addresses. It never runs scripts: its notifications come through a
 * fifo. The agent owns the gate, the holding's device: down until the `promoted` callback has put
 * everything in its place and takes it up. Only then bridges learn of the new holder, by the kernel's
 * gratuitous ARP (arp_notify) and by keepalived's repetitions; keepalived's first ones, sent with the
 * election, find the device down. So in a planned hand-over the old holder gets the packets until the
 * new one is ready for them.
 *
 * Both daemons are children with PR_SET_PDEATHSIG: when the agent dies, by any signal, the kernel
 * ends keepalived by SIGTERM, which gives every address up with a priority-0 advertisement. An
 * agent that is gone is thus a planned hand-over. A daemon that ends by itself is started again
 * with backoff, and `demoted` is called for every holding meanwhile.
 */

#include <event2/event.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "err.h"
#include "strbuf.h"

#define HA_NAME_MAX 16

/* A floating address on a device that carries nothing else (a macvlan) and is up only with it. */
struct ha_holding {
	char name[HA_NAME_MAX]; /* VRRP instance name, e.g. "vip" or the exit's name */
	uint8_t vrid;		/* 1..255, unique on the sync network */
	uint8_t priority;	/* 1..254 */
	struct addr addr;
	char dev[IFNAMSIZ];
};

struct ha_config {
	char router_id[64]; /* shown in adverts' logs */
	char sync_interface[IFNAMSIZ];
	struct addr sync_addr; /* own address on the sync network */
	char track[IFNAMSIZ];  /* a link whose loss gives all holdings up, or "" */
	uint8_t group;	       /* pair number: multicast group and port of conntrackd */
	const struct ha_holding *holdings;
	size_t n_holdings;
	const struct addr *ignore; /* addresses whose flows are not replicated */
	size_t n_ignore;
	unsigned int advert_ms;	      /* 100 */
	unsigned int preempt_delay_s; /* 0: never take a holding from a living peer */
};

/* VRRP virtual router id of an address: its last byte. -ERANGE for 0. */
int ha_vrid(const struct addr *addr, uint8_t *ret, struct err *err);

/* The daemons' configuration files as text. Pure. */
void ha_keepalived_conf(const struct ha_config *config, const char *fifo, struct strbuf *b);
void ha_conntrackd_conf(const struct ha_config *config, const char *dir, struct strbuf *b);

enum ha_state {
	HA_INIT,
	HA_BACKUP,
	HA_MASTER,
	HA_FAULT,
	HA_CONTESTED, /* only told, never a holding's state: the peer claimed what we hold */
};
const char *ha_state_name(enum ha_state state);

/* Called from the loop. `index` counts config->holdings. */
struct ha_callbacks {
	void (*promoted)(size_t index, void *data); /* MASTER: restore state, open the gate */
	void (*demoted)(size_t index, void *data);  /* anything else: shut the gate */
	/* May be NULL: the peer held it as well for a moment (a starved election, a split that has
	 * healed), and has been told to step back. */
	void (*contested)(size_t index, void *data);
	/* May be NULL: "keepalived" or "conntrackd" ended by itself, with this exit code (-SIGNAL),
	 * and is started again after `retry_ms`. */
	void (*daemon_ended)(const char *name, int status, unsigned int retry_ms, void *data);
	void *data;
};

struct ha;

/* Writes the configurations to `dir` (made, 0700; by rename) and starts both daemons. `config` is
 * copied. Leftovers of a former agent in `dir` (pid files, sockets) are cleared away; daemons that
 * still run from there are ended first. */
int ha_start(struct event_base *base, const char *dir, const struct ha_config *config,
	     const struct ha_callbacks *callbacks, struct ha **ret, struct err *err);

enum ha_state ha_holding_state(const struct ha *ha, size_t index);

/* Is conntrackd running and its peer heard of? Standby's readiness. */
bool ha_in_sync(const struct ha *ha);

/* Planned hand-over: ends keepalived (priority 0, the peer takes over), waits `linger_ms` so that
 * packets on their way still find the data plane and conntrackd sends what it holds, then ends
 * conntrackd and calls `done`. No other callback is called meanwhile: the gates stay open until the
 * agent shuts them in `done`. */
void ha_stop(struct ha *ha, unsigned int linger_ms, void (*done)(void *data), void *data);

/* Frees it; ends what still runs at once. */
void ha_free(struct ha *ha);

#pragma once
/* What was observed: the kernel's objects, the elections, the tunnels. desired.c turns it into what
 * is wanted. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gateway_config.h"
#include "ha.h"
#include "object.h"
#include "probe_state.h"

struct exit_model {
	bool held;	     /* this member carries it: interface and tunnel are up */
	enum ha_state state; /* what the election says; differs from `held` while handing over */
	enum exit_health health;
	int64_t since;	    /* of `health`, seconds since the epoch */
	uint64_t takeovers; /* promotions of this agent */
	/* Of its peers, in order; ss_family 0 where a name is not resolved yet. */
	struct sockaddr_storage endpoints[WGQUICK_PEERS_MAX];
	int64_t last_handshake; /* seconds since the epoch, 0: never */
	uint64_t rx_bytes, tx_bytes;
	uint64_t rekeys; /* sessions with the provider that this agent let begin anew */
	bool contested;	 /* the peer held it as well: the provider's session may be the peer's */
};

struct model {
	struct object_list actual;
	unsigned int underlay_mtu; /* bytes, of the way to the providers; 0: unknown */
	struct exit_model *exits;  /* owned; as many as the configuration has */
	size_t n_exits;
};

/* A model of nothing: `n` exits, all standby. */
void model_init(struct model *m, size_t n);
void model_free(struct model *m);
#define auto_model __attribute__((cleanup(model_free)))

/* Reads a model file, {"objects":[…],"underlayMtu":1500,"exits":[{"name":"nl","held":true}]}: exits
 * that it leaves out are standby, endpoints are those that need no resolver. Fills the zeroed
 * `ret`. */
int model_load(const char *file, const struct gateway_config *config, struct model *ret,
	       struct err *err);

/* Fills in the endpoints that are literal addresses. */
void model_literal_endpoints(struct model *m, const struct gateway_config *config);

#pragma once
/* Endpoints that are host names, resolved without blocking the loop and asked for again until there
 * is an answer. */

#include <event2/event.h>
#include <stddef.h>
#include <sys/socket.h>

#include "err.h"
#include "gateway_config.h"

struct resolver;

struct resolver_callbacks {
	void (*found)(size_t exit, size_t peer, const struct sockaddr_storage *addr, void *data);
	/* `why` is one line; it is asked again later. */
	void (*failed)(size_t exit, size_t peer, const char *why, void *data);
	void *data;
};

/* Asks for each endpoint of `config` (which must outlive it) that is not a literal address, with
 * the servers of /etc/resolv.conf and with /etc/hosts. *ret is NULL where there is nothing to ask,
 * else owned by the caller: resolver_stop(). */
int resolver_start(struct event_base *base, const struct gateway_config *config,
		   const struct resolver_callbacks *callbacks, struct resolver **ret,
		   struct err *err);
void resolver_stop(struct resolver *resolver);

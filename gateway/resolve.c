/* Theory of operation
 *
 * A question is a peer's host name; its answer may come any time later, also after resolver_stop(),
 * since libevent reports even a cancelled request from the loop. So the resolver lives until the
 * last answer is in, and is freed from a loop event of its own: not from within the library that it
 * frees.
 */
#include "resolve.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define RETRY_SECONDS 10

struct question {
	struct resolver *resolver;
	size_t exit, peer;
	struct event *retry;
	struct evdns_getaddrinfo_request *request; /* NULL: none under way */
};

struct resolver {
	const struct gateway_config *config;
	struct resolver_callbacks callbacks;
	struct event_base *base;
	struct evdns_base *dns;
	struct question *questions;
	size_t n;
	size_t under_way; /* requests that were not answered yet */
	bool stopped;
};

static void resolver_free(struct resolver *r)
{
	for (size_t i = 0; i < r->n; i++)
		event_free(r->questions[i].retry);
	if (r->dns)
		evdns_base_free(r->dns, 0);
	free(r->questions);
	free(r);
}

static void on_free(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	resolver_free(data);
}

/* IPv4 where there is some: every pod has it. */
static const struct evutil_addrinfo *choose(const struct evutil_addrinfo *list)
{
	for (const struct evutil_addrinfo *at = list; at; at = at->ai_next) {
		if (at->ai_family == AF_INET)
			return at;
	}
	return list;
}

static void on_answer(int result, struct evutil_addrinfo *list, void *data)
{
	static const struct timeval later = {.tv_sec = RETRY_SECONDS};
	static const struct timeval at_once = {0};
	struct question *q = data;
	struct resolver *r = q->resolver;
	const struct resolver_callbacks *callbacks = &r->callbacks;
	struct sockaddr_storage addr = {0};

	q->request = NULL;
	r->under_way--;
	if (r->stopped) {
		if (list)
			evutil_freeaddrinfo(list);
		if (!r->under_way)
			event_base_once(r->base, -1, EV_TIMEOUT, on_free, r, &at_once);
		return;
	}
	if (result || !list) {
		event_add(q->retry, &later);
		callbacks->failed(q->exit, q->peer, evutil_gai_strerror(result), callbacks->data);
		return;
	}
	memcpy(&addr, choose(list)->ai_addr, choose(list)->ai_addrlen);
	evutil_freeaddrinfo(list);
	callbacks->found(q->exit, q->peer, &addr, callbacks->data);
}

static void ask(struct question *q)
{
	const struct wgquick_endpoint *e =
		&config_exit(q->resolver->config, q->exit)->wg.peers[q->peer].endpoint;
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP};
	struct evdns_getaddrinfo_request *request;
	char port[8];

	snprintf(port, sizeof(port), "%u", e->port);
	q->resolver->under_way++;
	request = evdns_getaddrinfo(q->resolver->dns, e->host, port, &hints, on_answer, q);
	/* NULL: answered already, from within the call. */
	if (request)
		q->request = request;
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	ask(data);
}

static void collect_questions(struct resolver *r, struct event_base *base)
{
	for (size_t i = 0; i < r->config->exits.n; i++) {
		const struct wgquick *wg = &config_exit(r->config, i)->wg;

		for (size_t j = 0; j < wg->n_peers; j++) {
			struct addr literal;
			struct question *q;

			if (!wg->peers[j].endpoint.host[0] ||
			    addr_parse(wg->peers[j].endpoint.host, &literal) == 0)
				continue;
			q = &r->questions[r->n++];
			*q = (struct question){.resolver = r, .exit = i, .peer = j};
			q->retry = event_new(base, -1, 0, on_retry, q);
			if (!q->retry)
				abort();
		}
	}
}

int resolver_start(struct event_base *base, const struct gateway_config *config,
		   const struct resolver_callbacks *callbacks, struct resolver **ret,
		   struct err *err)
{
	struct resolver *r = xcalloc(1, sizeof(*r));
	size_t peers = 0;

	*ret = NULL;
	for (size_t i = 0; i < config->exits.n; i++)
		peers += config_exit(config, i)->wg.n_peers;
	r->base = base;
	r->config = config;
	r->callbacks = *callbacks;
	r->questions = xcalloc(peers, sizeof(*r->questions));
	collect_questions(r, base);
	if (r->n)
		r->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
						      EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!r->dns) {
		bool needed = r->n > 0;

		resolver_free(r);
		return needed ? err_set(err, -EIO, "the resolver cannot be set up") : 0;
	}
	*ret = r;
	for (size_t i = 0; i < r->n; i++)
		ask(&r->questions[i]);
	return 0;
}

void resolver_stop(struct resolver *r)
{
	r->stopped = true;
	for (size_t i = 0; i < r->n; i++) {
		event_del(r->questions[i].retry);
		if (r->questions[i].request)
			evdns_getaddrinfo_cancel(r->questions[i].request);
	}
	if (!r->under_way)
		resolver_free(r);
}

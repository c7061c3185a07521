#include "server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cleanup.h"
#include "mem.h"

#define REQUEST_HEADERS_MAX 8192
#define REQUEST_SECONDS	    5

struct handler {
	struct handler *next;
	obs_handler_fn *fn;
	void *data;
};

struct obs {
	struct evhttp *tcp;	/* NULL without a TCP listener */
	struct evhttp *control; /* NULL without a control socket */
	char *socket_path;
	struct obs_callbacks callbacks;
	struct handler *handlers;
};

static void reply(struct evhttp_request *req, int code, const char *type, const char *body)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
	evbuffer_add(evhttp_request_get_output_buffer(req), body, strlen(body));
	evhttp_send_reply(req, code, NULL, NULL);
}

static void reply_json(struct evhttp_request *req, int code, json_t *doc)
{
	auto_free char *text = json_dumps(doc, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	if (!text)
		abort();
	reply(req, code, "application/json", text);
}

static void on_healthz(struct evhttp_request *req, void *data)
{
	reply(req, HTTP_OK, "text/plain", "ok\n");
}

static void on_readyz(struct evhttp_request *req, void *data)
{
	struct obs *obs = data;
	char why[128] = "", line[sizeof(why) + 1];
	bool ready = obs->callbacks.ready(why, sizeof(why), obs->callbacks.data);

	snprintf(line, sizeof(line), "%s\n", why);
	reply(req, ready ? HTTP_OK : HTTP_SERVUNAVAIL, "text/plain", line);
}

static void on_metrics(struct evhttp_request *req, void *data)
{
	struct obs *obs = data;
	auto_strbuf struct strbuf b = {0};

	obs->callbacks.metrics(&b, obs->callbacks.data);
	reply(req, HTTP_OK, "text/plain; version=0.0.4", strbuf_text(&b));
}

static void on_status(struct evhttp_request *req, void *data)
{
	struct obs *obs = data;
	json_t *doc = obs->callbacks.status(obs->callbacks.data);

	reply_json(req, HTTP_OK, doc);
	json_decref(doc);
}

/* The address the client connected to; AF_UNSPEC on the control socket. */
static struct addr local_address(struct evhttp_request *req)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(conn));
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct addr a = {0};

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return a;
	if (ss.ss_family == AF_INET) {
		a.family = AF_INET;
		memcpy(a.bytes, &((struct sockaddr_in *)&ss)->sin_addr, 4);
	} else if (ss.ss_family == AF_INET6) {
		a.family = AF_INET6;
		memcpy(a.bytes, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	}
	return a;
}

static void on_handler(struct evhttp_request *req, void *data)
{
	struct handler *handler = data;
	struct addr local = local_address(req);
	int code = HTTP_OK;
	json_t *doc = handler->fn(&local, &code, handler->data);

	if (!doc) {
		evhttp_send_error(req, HTTP_NOTFOUND, NULL);
		return;
	}
	reply_json(req, code, doc);
	json_decref(doc);
}

static struct evhttp *new_http(struct event_base *base)
{
	struct evhttp *http = evhttp_new(base);

	if (!http)
		abort();
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http, REQUEST_HEADERS_MAX);
	evhttp_set_max_body_size(http, 0);
	evhttp_set_timeout(http, REQUEST_SECONDS);
	return http;
}

static int listen_tcp(struct obs *obs, struct event_base *base, const struct addr *listen,
		      uint16_t port, struct err *err)
{
	char text[ADDR_STRLEN];

	addr_format(listen, text);
	obs->tcp = new_http(base);
	if (!evhttp_bind_socket_with_handle(obs->tcp, text, port))
		return err_errno(err, errno ? -errno : -EINVAL, "listen on %s port %u", text, port);
	return 0;
}

/* Makes the directories above `path`, each 0755. */
static int make_parents(const char *path, struct err *err)
{
	auto_free char *dir = xstrdup(path);

	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return err_errno(err, -errno, "%s", dir);
		*p = '/';
	}
	return 0;
}

static int listen_control(struct obs *obs, struct event_base *base, const char *path,
			  struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	auto_close int fd = -1;
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: longer than a socket path may be", path);
	memcpy(sun.sun_path, path, strlen(path));
	r = make_parents(path, err);
	if (r < 0)
		return r;
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r < 0 || listen(fd, 16) < 0)
		return err_errno(err, -errno, "%s", path);
	obs->control = new_http(base);
	if (!evhttp_accept_socket_with_handle(obs->control, fd))
		return err_set(err, -ENOMEM, "%s: no event for the socket", path);
	steal_fd(&fd);
	obs->socket_path = xstrdup(path);
	return 0;
}

static void on_both(struct obs *obs, const char *path,
		    void (*fn)(struct evhttp_request *req, void *data), void *data)
{
	if (obs->tcp)
		evhttp_set_cb(obs->tcp, path, fn, data);
	if (obs->control)
		evhttp_set_cb(obs->control, path, fn, data);
}

int obs_start(struct event_base *base, const struct addr *listen, uint16_t port,
	      const char *socket_path, const struct obs_callbacks *callbacks, struct obs **ret,
	      struct err *err)
{
	struct obs *obs = xcalloc(1, sizeof(*obs));
	int r = 0;

	obs->callbacks = *callbacks;
	if (addr_size(listen))
		r = listen_tcp(obs, base, listen, port, err);
	if (r == 0 && socket_path)
		r = listen_control(obs, base, socket_path, err);
	if (r < 0) {
		obs_stop(obs);
		return r;
	}
	if (callbacks->ready) {
		on_both(obs, "/healthz", on_healthz, obs);
		on_both(obs, "/readyz", on_readyz, obs);
	}
	if (callbacks->metrics)
		on_both(obs, "/metrics", on_metrics, obs);
	if (callbacks->status && obs->control)
		evhttp_set_cb(obs->control, "/status", on_status, obs);
	*ret = obs;
	return 0;
}

void obs_handle(struct obs *obs, const char *path, obs_handler_fn *fn, void *data)
{
	struct handler *handler = xcalloc(1, sizeof(*handler));

	*handler = (struct handler){.next = obs->handlers, .fn = fn, .data = data};
	obs->handlers = handler;
	on_both(obs, path, on_handler, handler);
}

void obs_stop(struct obs *obs)
{
	struct handler *next;

	if (obs->tcp)
		evhttp_free(obs->tcp);
	if (obs->control)
		evhttp_free(obs->control);
	if (obs->socket_path)
		unlink(obs->socket_path);
	free(obs->socket_path);
	for (struct handler *h = obs->handlers; h; h = next) {
		next = h->next;
		free(h);
	}
	free(obs);
}

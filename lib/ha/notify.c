#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

/* keepalived writes a state's name in capitals; STOP is its farewell. */
static bool state_parse(const char *s, enum ha_state *ret)
{
	static const struct {
		const char *name;
		enum ha_state state;
	} states[] = {
		{"MASTER", HA_MASTER}, {"BACKUP", HA_BACKUP}, {"FAULT", HA_FAULT},
		{"STOP", HA_INIT},     {"DELETED", HA_INIT},  {"MASTER_RX_LOWER_PRI", HA_CONTESTED},
	};
	size_t n = strcspn(s, " ");

	for (size_t i = 0; i < array_len(states); i++) {
		if (strlen(states[i].name) == n && !memcmp(states[i].name, s, n)) {
			*ret = states[i].state;
			return true;
		}
	}
	return false;
}

static void line_parse(char *line, notify_fn *fn, void *data)
{
	static const char head[] = "INSTANCE \"";
	enum ha_state state;
	char *name, *end;

	if (strncmp(line, head, strlen(head)) != 0)
		return;
	name = line + strlen(head);
	end = strchr(name, '"');
	if (!end || end[1] != ' ' || !state_parse(end + 2, &state))
		return;
	*end = '\0';
	fn(name, state, data);
}

void notify_parse(struct notify_parser *parser, const char *bytes, size_t n, notify_fn *fn,
		  void *data)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			parser->line[parser->len] = '\0';
			if (!parser->skip)
				line_parse(parser->line, fn, data);
			parser->len = 0;
			parser->skip = false;
		} else if (parser->len + 1 < sizeof(parser->line)) {
			parser->line[parser->len++] = bytes[i];
		} else {
			parser->skip = true;
		}
	}
}

struct notify {
	int fd;
	struct event *readable;
	struct notify_parser parser;
	notify_fn *fn;
	void *data;
};

static void notify_readable(evutil_socket_t fd, short what, void *data)
{
	struct notify *notify = data;
	char bytes[1024];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)what;
	if (n > 0)
		notify_parse(&notify->parser, bytes, (size_t)n, notify->fn, notify->data);
}

int notify_open(struct event_base *base, const char *path, notify_fn *fn, void *data,
		struct notify **ret, struct err *err)
{
	struct notify *notify;
	auto_close int fd = -1;

	if ((unlink(path) < 0 && errno != ENOENT) || mkfifo(path, 0600) < 0)
		return err_errno(err, -errno, "%s", path);
	/* Open for writing too: otherwise each end of a keepalived would be an end of file here. */
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	notify = xcalloc(1, sizeof(*notify));
	*notify = (struct notify){.fn = fn, .data = data};
	notify->fd = steal_fd(&fd);
	notify->readable =
		event_new(base, notify->fd, EV_READ | EV_PERSIST, notify_readable, notify);
	event_add(notify->readable, NULL);
	*ret = notify;
	return 0;
}

void notify_close(struct notify *notify)
{
	if (!notify)
		return;
	event_free(notify->readable);
	close(notify->fd);
	free(notify);
}

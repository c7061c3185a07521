/* Theory of operation
 *
 * A file is lines; a line is blank, a comment, a [Section], or KEY = VALUE, with blanks anywhere
 * between them, a comment behind, and either kind of line end. Names of sections and keys ignore
 * case, as wg-quick does. A table names each key, its section and its parser; lists (Address, DNS,
 * AllowedIPs) may come in one line or in several.
 *
 * wg-quick is a shell script, and some of its keys make sense only there: they are read, not
 * followed, and each leaves a note with the reason. A key nobody knows is a mistake (a misspelt
 * AllowedIPs would otherwise go unnoticed until no packet passes).
 */
#include "wgquick.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "mem.h"

/* RFC 791: what every IPv4 link carries; above it what fits a length field. */
#define MTU_MIN 576
#define MTU_MAX 65535

enum section { SECTION_NONE, SECTION_INTERFACE, SECTION_PEER };

struct parser {
	const char *name;
	unsigned int line;
	enum section section;
	unsigned int interface_line; /* 0: no [Interface] yet */
	uint32_t seen;		     /* keys of this section, by index in `keys` */
	size_t n_allowed;	     /* of all peers */
	struct wgquick *q;
};

static int complain(const struct parser *p, unsigned int line, struct err *err, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5)));

static int complain(const struct parser *p, unsigned int line, struct err *err, const char *fmt,
		    ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(err, -EINVAL, "%s:%u: %s", p->name, line, why);
}

void wgquick_clear(struct wgquick *q)
{
	for (size_t i = 0; i < q->n_peers; i++)
		free(q->peers[i].allowed_ips);
	if (q->peers)
		explicit_bzero(q->peers, q->n_peers * sizeof(*q->peers));
	free(q->peers);
	free(q->notes);
	explicit_bzero(q, sizeof(*q));
}

const struct addr *wgquick_ipv4(const struct wgquick *q)
{
	for (size_t i = 0; i < q->n_addresses; i++) {
		if (q->addresses[i].addr.family == AF_INET)
			return &q->addresses[i].addr;
	}
	return NULL;
}

/* --- values: 0, or what is wrong with it --- */

/* Parses a value into the file; returns NULL, or why it is refused. `value` may be written to. */
typedef const char *value_fn(struct parser *p, char *value);

static struct wgquick_peer *last_peer(struct parser *p)
{
	return &p->q->peers[p->q->n_peers - 1];
}

static const char *parse_key(const char *value, struct wg_key *ret)
{
	if (wg_key_parse(value, ret) < 0)
		return "is not a key (32 bytes in base64)";
	return NULL;
}

static const char *parse_needed_key(const char *value, struct wg_key *ret)
{
	const char *why = parse_key(value, ret);

	return why || !wg_key_is_zero(ret) ? why : "is a key of zeros";
}

static const char *value_private_key(struct parser *p, char *value)
{
	return parse_needed_key(value, &p->q->private_key);
}

static const char *value_public_key(struct parser *p, char *value)
{
	struct wg_key key;
	const char *why = parse_needed_key(value, &key);

	for (size_t i = 0; !why && i + 1 < p->q->n_peers; i++) {
		if (wg_key_equal(&p->q->peers[i].public_key, &key))
			why = "a peer above has the same";
	}
	last_peer(p)->public_key = key;
	return why;
}

static const char *value_preshared_key(struct parser *p, char *value)
{
	return parse_key(value, &last_peer(p)->preshared_key);
}

/* Next element of a comma-separated list with the blanks around it cut off; NULL at the end. */
static char *next_element(char **rest)
{
	char *item = strsep(rest, ","), *end;

	if (!item)
		return NULL;
	item += strspn(item, " \t");
	end = item + strlen(item);
	while (end > item && strchr(" \t", end[-1]))
		end--;
	*end = '\0';
	return item;
}

static const char *value_address(struct parser *p, char *value)
{
	struct wgquick *q = p->q;

	for (char *item; (item = next_element(&value));) {
		if (q->n_addresses == WGQUICK_ADDRESSES_MAX)
			return "too many addresses";
		if (prefix_parse(item, &q->addresses[q->n_addresses]) < 0)
			return "holds something that is not an address";
		q->n_addresses++;
	}
	return NULL;
}

/* wg-quick takes search domains among the servers: they are for a resolver, which this is not. */
static bool is_domain(const char *s)
{
	size_t n = strlen(s);
	bool letter = false;

	for (size_t i = 0; i < n; i++)
		letter |= (s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z';
	return letter && n < WGQUICK_HOST_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == n;
}

static const char *value_dns(struct parser *p, char *value)
{
	struct wgquick *q = p->q;

	for (char *item; (item = next_element(&value));) {
		struct addr addr;

		if (addr_parse(item, &addr) < 0) {
			if (is_domain(item))
				continue;
			return "holds something that is neither an address nor a search domain";
		}
		if (q->n_dns == WGQUICK_ADDRESSES_MAX)
			return "too many servers";
		q->dns[q->n_dns++] = addr;
	}
	return NULL;
}

/* A decimal number without sign; -1 where it is none or above `max`. */
static long parse_number(const char *s, long max)
{
	long n = 0;

	if (!*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		n = n * 10 + (*s - '0');
		if (n > max)
			return -1;
	}
	return n;
}

static const char *value_mtu(struct parser *p, char *value)
{
	long n = parse_number(value, MTU_MAX);

	if (n < MTU_MIN)
		return "is not within 576 to 65535";
	p->q->mtu = (unsigned int)n;
	return NULL;
}

static const char *value_keepalive(struct parser *p, char *value)
{
	long n = strcasecmp(value, "off") ? parse_number(value, 65535) : 0;

	if (n < 0)
		return "is neither \"off\" nor a number up to 65535";
	last_peer(p)->keepalive = (unsigned int)n;
	return NULL;
}

/* HOST:PORT, [IPv6]:PORT */
static const char *value_endpoint(struct parser *p, char *value)
{
	struct wgquick_endpoint *e = &last_peer(p)->endpoint;
	char *colon = strrchr(value, ':'), *host = value;
	struct addr addr;
	long port;

	if (!colon)
		return "has no port";
	*colon = '\0';
	port = parse_number(colon + 1, 65535);
	if (port < 1)
		return "has a port that is not within 1 to 65535";
	if (*host == '[') {
		if (colon[-1] != ']')
			return "has an unbalanced bracket";
		colon[-1] = '\0';
		host++;
		if (addr_parse(host, &addr) < 0 || addr.family != AF_INET6)
			return "has no IPv6 address in its brackets";
	} else if (addr_parse(host, &addr) < 0 && !is_domain(host)) {
		return "has a host that is neither an address nor a name";
	} else if (strchr(host, ':')) {
		return "needs brackets around its IPv6 address";
	}
	snprintf(e->host, sizeof(e->host), "%s", host);
	e->port = (uint16_t)port;
	return NULL;
}

static const char *value_allowed_ips(struct parser *p, char *value)
{
	struct wgquick_peer *peer = last_peer(p);

	for (char *item; (item = next_element(&value));) {
		struct prefix prefix;

		if (prefix_parse(item, &prefix) < 0)
			return "holds something that is not a prefix";
		if (++p->n_allowed > WGQUICK_ALLOWED_MAX)
			return "too many prefixes";
		peer->allowed_ips =
			xreallocarray(peer->allowed_ips, peer->n_allowed_ips + 1, sizeof(prefix));
		peer->allowed_ips[peer->n_allowed_ips++] = prefix_network(&prefix);
	}
	return NULL;
}

/* --- keys --- */

struct key {
	enum section section;
	bool list; /* may be given several times */
	const char *name;
	value_fn *parse;    /* NULL: not followed */
	const char *unused; /* why it is not followed */
};

#define NO_COMMANDS "commands of a file are never run; the kill switch is built in"

static const struct key keys[] = {
	{SECTION_INTERFACE, false, "PrivateKey", value_private_key},
	{SECTION_INTERFACE, true, "Address", value_address},
	{SECTION_INTERFACE, true, "DNS", value_dns},
	{SECTION_INTERFACE, false, "MTU", value_mtu},
	{SECTION_INTERFACE, false, "ListenPort",
	 .unused = "an exit only calls out; the kernel chooses"},
	{SECTION_INTERFACE, false, "FwMark", .unused = "the agent marks a tunnel's packets itself"},
	{SECTION_INTERFACE, false, "Table", .unused = "the interface alone decides the tunnel"},
	{SECTION_INTERFACE, false, "SaveConfig", .unused = "the file is never written"},
	{SECTION_INTERFACE, true, "PreUp", .unused = NO_COMMANDS},
	{SECTION_INTERFACE, true, "PostUp", .unused = NO_COMMANDS},
	{SECTION_INTERFACE, true, "PreDown", .unused = NO_COMMANDS},
	{SECTION_INTERFACE, true, "PostDown", .unused = NO_COMMANDS},
	{SECTION_PEER, false, "PublicKey", value_public_key},
	{SECTION_PEER, false, "PresharedKey", value_preshared_key},
	{SECTION_PEER, true, "AllowedIPs", value_allowed_ips},
	{SECTION_PEER, false, "Endpoint", value_endpoint},
	{SECTION_PEER, false, "PersistentKeepalive", value_keepalive},
};

_Static_assert(array_len(keys) <= 32, "struct parser.seen is a bit a key");

static const struct key *find_key(const char *name, enum section section)
{
	for (size_t i = 0; i < array_len(keys); i++) {
		if (!strcasecmp(keys[i].name, name) && keys[i].section == section)
			return &keys[i];
	}
	return NULL;
}

/* May `name` be shown? A key of 32 bytes has 43 digits, and its halves are not letters alone. */
static bool looks_like_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 20 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

static int unknown_key(const struct parser *p, const char *name, struct err *err)
{
	enum section other = p->section == SECTION_PEER ? SECTION_INTERFACE : SECTION_PEER;
	const struct key *elsewhere = find_key(name, other);

	if (!looks_like_name(name))
		return complain(p, p->line, err, "this is not a line of the form KEY = VALUE");
	if (elsewhere)
		return complain(p, p->line, err, "%s: belongs to [%s]", elsewhere->name,
				other == SECTION_PEER ? "Peer" : "Interface");
	return complain(p, p->line, err, "%s: unknown key", name);
}

static void add_note(struct parser *p, const struct key *key)
{
	struct wgquick *q = p->q;

	q->notes = xreallocarray(q->notes, q->n_notes + 1, sizeof(*q->notes));
	q->notes[q->n_notes++] = (struct wgquick_note){p->line, key->name, key->unused};
}

static int parse_pair(struct parser *p, const char *name, char *value, struct err *err)
{
	const struct key *key = find_key(name, p->section);
	const char *why;
	uint32_t bit;

	if (p->section == SECTION_NONE && looks_like_name(name))
		return complain(p, p->line, err, "%s: stands before any [Section]", name);
	if (!key)
		return unknown_key(p, name, err);
	bit = 1U << (key - keys);
	if (p->seen & bit && !key->list)
		return complain(p, p->line, err, "%s: given twice", key->name);
	p->seen |= bit;
	if (!key->parse) {
		add_note(p, key);
		return 0;
	}
	/* AllowedIPs alone may be empty: wg takes that as "none". */
	if (!*value && key->parse == value_allowed_ips)
		return 0;
	why = *value ? key->parse(p, value) : "is empty";
	return why ? complain(p, p->line, err, "%s: %s", key->name, why) : 0;
}

/* --- sections and lines --- */

static int finish_peer(const struct parser *p, struct err *err)
{
	const struct wgquick_peer *peer = &p->q->peers[p->q->n_peers - 1];

	if (wg_key_is_zero(&peer->public_key))
		return complain(p, peer->line, err, "PublicKey: missing in this [Peer]");
	if (!peer->n_allowed_ips)
		return complain(p, peer->line, err, "AllowedIPs: missing in this [Peer]");
	return 0;
}

static int begin_peer(struct parser *p, struct err *err)
{
	struct wgquick *q = p->q;

	if (!q->peers) /* once and for all: growing would leave preshared keys in freed memory */
		q->peers = xcalloc(WGQUICK_PEERS_MAX, sizeof(*q->peers));
	if (q->n_peers == WGQUICK_PEERS_MAX)
		return complain(p, p->line, err, "more than %d peers", WGQUICK_PEERS_MAX);
	q->peers[q->n_peers++].line = p->line;
	return 0;
}

static int begin_section(struct parser *p, const char *name, struct err *err)
{
	if (p->section == SECTION_PEER && finish_peer(p, err) < 0)
		return err->code;
	p->seen = 0;
	if (!strcasecmp(name, "[Interface]")) {
		if (p->interface_line)
			return complain(p, p->line, err, "[Interface]: given twice");
		p->interface_line = p->line;
		p->section = SECTION_INTERFACE;
		return 0;
	}
	if (!strcasecmp(name, "[Peer]")) {
		p->section = SECTION_PEER;
		return begin_peer(p, err);
	}
	return complain(p, p->line, err, "neither [Interface] nor [Peer]");
}

/* Cuts off the comment, the line end and the blanks around what remains. */
static char *trim(char *s)
{
	char *end = s + strcspn(s, "#");

	while (end > s && strchr(" \t\r\v\f", end[-1]))
		end--;
	*end = '\0';
	return s + strspn(s, " \t\r\v\f");
}

static int parse_line(struct parser *p, char *line, struct err *err)
{
	char *text = trim(line), *equals;

	if (!*text)
		return 0;
	if (*text == '[')
		return begin_section(p, text, err);
	equals = strchr(text, '=');
	if (!equals)
		return complain(p, p->line, err, "this is not a line of the form KEY = VALUE");
	*equals = '\0';
	return parse_pair(p, trim(text), trim(equals + 1), err);
}

static int finish(struct parser *p, struct err *err)
{
	struct wgquick *q = p->q;

	if (p->section == SECTION_PEER && finish_peer(p, err) < 0)
		return err->code;
	if (!p->interface_line)
		return complain(p, p->line ? p->line : 1, err, "there is no [Interface]");
	if (wg_key_is_zero(&q->private_key))
		return complain(p, p->interface_line, err, "PrivateKey: missing in [Interface]");
	if (!q->n_addresses)
		return complain(p, p->interface_line, err, "Address: missing in [Interface]");
	if (!wgquick_ipv4(q))
		return complain(p, p->interface_line, err, "Address: none is IPv4");
	if (!q->n_peers)
		return complain(p, p->interface_line, err, "there is no [Peer]");
	return 0;
}

/* Parses and destroys the text. */
static int parse_text(struct parser *p, char *text, struct err *err)
{
	if (!strncmp(text, "\xef\xbb\xbf", 3)) /* the byte order mark of some editors */
		text += 3;
	for (char *line; (line = strsep(&text, "\n"));) {
		p->line++;
		if (parse_line(p, line, err) < 0)
			return err->code;
	}
	return finish(p, err);
}

/* A copy of a file's text that is zeroed when it goes. */
struct secret {
	char *text;
	size_t size; /* without terminator */
};

static void secret_clear(struct secret *s)
{
	if (s->text)
		explicit_bzero(s->text, s->size);
	free(s->text);
}
#define auto_secret __attribute__((cleanup(secret_clear)))

int wgquick_parse(const char *name, const char *text, size_t size, struct wgquick *ret,
		  struct err *err)
{
	auto_secret struct secret copy = {xcalloc(size + 1, 1), size};
	struct parser p = {.name = name, .q = ret};
	int r;

	*ret = (struct wgquick){0};
	if (size > WGQUICK_FILE_MAX)
		return complain(&p, 1, err, "larger than %u bytes", WGQUICK_FILE_MAX);
	memcpy(copy.text, text, size);
	if (memchr(text, '\0', size))
		return complain(&p, 1, err, "NUL byte in the file");
	r = parse_text(&p, copy.text, err);
	if (r < 0)
		wgquick_clear(ret);
	return r;
}

static int check_file(int fd, const char *file, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: not a regular file", file);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, -EACCES,
			       "%s: readable by group or others (mode %04o), must be 0600 or 0400",
			       file, st.st_mode & 07777);
	if (st.st_size > WGQUICK_FILE_MAX)
		return err_set(err, -EINVAL, "%s:1: larger than %u bytes", file, WGQUICK_FILE_MAX);
	return 0;
}

int wgquick_load(const char *file, struct wgquick *ret, struct err *err)
{
	/* Not blocking: a named pipe must be refused, not waited for. */
	auto_close int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	auto_secret struct secret s = {xcalloc(WGQUICK_FILE_MAX + 1, 1), 0};

	*ret = (struct wgquick){0};
	if (fd < 0)
		return err_errno(err, -errno, "%s", file);
	if (check_file(fd, file, err) < 0)
		return err->code;
	while (s.size < WGQUICK_FILE_MAX) {
		ssize_t n = read(fd, s.text + s.size, WGQUICK_FILE_MAX - s.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, -errno, "%s", file);
		if (n == 0)
			break;
		s.size += (size_t)n;
	}
	return wgquick_parse(file, s.text, s.size, ret, err);
}

/* Source: net/netfilter/ipvs/ip_vs_conn.c (ip_vs_conn_seq_show), ip_vs_proto_tcp.c (tcp_state_name_table):
 *
 *	Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
 *	TCP C6336409 C350 C0A834F8 1388 C0A8320A 1F40 ESTABLISHED     899
 *
 * IPv4 addresses are eight hexadecimal digits, IPv6 addresses are written out.
 */
#include "ipvs_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "mem.h"

/* The longest line is an IPv6 connection's with what a persistence engine says of it (256 bytes). */
#define LINE_ROOM 1024

/* Flows per net_conntrack_ensure(): what is held at a time. */
#define FLOWS_ROOM ((size_t)8 * NET_BATCH_MAX)

enum column {
	COLUMN_PROTOCOL,
	COLUMN_CLIENT,
	COLUMN_CLIENT_PORT,
	COLUMN_SERVICE,
	COLUMN_SERVICE_PORT,
	COLUMN_SERVER,
	COLUMN_SERVER_PORT,
	COLUMN_STATE,
	COLUMN_EXPIRES,
	N_COLUMNS
};

/* --- one line --- */

/* Digits of that base, n of them (0: one to nine), and nothing else. */
static bool number_parse(const char *s, int base, size_t n, uint32_t *ret)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = strlen(s);

	*ret = 0;
	if (n ? len != n : (!len || len > 9))
		return false;
	for (; *s; s++) {
		const char *digit = memchr(digits, *s, (size_t)base);

		if (!digit)
			return false;
		*ret = *ret * (uint32_t)base + (uint32_t)(digit - digits);
	}
	return true;
}

static bool end_parse(const char *addr, const char *port, struct flow_end *ret)
{
	uint32_t value;

	*ret = (struct flow_end){0};
	if (!number_parse(port, 16, 4, &value))
		return false;
	ret->port = (uint16_t)value;
	if (strchr(addr, ':'))
		return addr_parse(addr, &ret->addr) == 0;
	if (!number_parse(addr, 16, 8, &value))
		return false;
	value = htonl(value);
	ret->addr.family = AF_INET;
	memcpy(ret->addr.bytes, &value, sizeof(value));
	return true;
}

/* Not those that are opening: their next packet makes an entry like the first. */
static bool state_is_open(const char *state)
{
	static const char *const names[] = {"ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
					    "UDP"};

	for (size_t i = 0; i < array_len(names); i++) {
		if (!strcmp(state, names[i]))
			return true;
	}
	return false;
}

static size_t split(char *line, char *columns[static N_COLUMNS])
{
	char *save, *word = strtok_r(line, " \n", &save);
	size_t n = 0;

	for (; word && n < N_COLUMNS; word = strtok_r(NULL, " \n", &save))
		columns[n++] = word;
	return n;
}

int ipvs_conn_parse(char *line, struct ipvs_conn *ret)
{
	char *columns[N_COLUMNS];
	size_t n = split(line, columns);

	*ret = (struct ipvs_conn){0};
	if (n && !strcmp(columns[COLUMN_PROTOCOL], "UDP"))
		ret->protocol = IPVS_UDP;
	else if (!n || strcmp(columns[COLUMN_PROTOCOL], "TCP") != 0)
		return 0;
	/* An IPv6 service with an IPv4 server, in dashes. */
	if (n > COLUMN_SERVER && columns[COLUMN_SERVER][0] == '-')
		return 0;
	if (n < N_COLUMNS ||
	    !end_parse(columns[COLUMN_CLIENT], columns[COLUMN_CLIENT_PORT], &ret->client) ||
	    !end_parse(columns[COLUMN_SERVICE], columns[COLUMN_SERVICE_PORT], &ret->service) ||
	    !end_parse(columns[COLUMN_SERVER], columns[COLUMN_SERVER_PORT], &ret->server) ||
	    !number_parse(columns[COLUMN_EXPIRES], 10, 0, &ret->expires))
		return -EBADMSG;
	if (ret->client.addr.family != ret->service.addr.family ||
	    ret->client.addr.family != ret->server.addr.family)
		return -EBADMSG;
	ret->open = state_is_open(columns[COLUMN_STATE]);
	return 1;
}

/* --- the table --- */

static void skip_line(FILE *table)
{
	int c;

	do
		c = getc_unlocked(table);
	while (c != EOF && c != '\n');
}

int ipvs_conn_read(FILE *table, ipvs_conn_fn *fn, void *data, struct err *err)
{
	char line[LINE_ROOM];
	struct ipvs_conn conn;
	size_t malformed = 0;

	while (fgets(line, sizeof(line), table)) {
		int r;

		if (!strchr(line, '\n'))
			skip_line(table); /* its rest */
		r = ipvs_conn_parse(line, &conn);
		if (r < 0)
			malformed++;
		else if (r > 0 && fn(&conn, data, err) < 0)
			return err->code;
	}
	if (ferror(table))
		return err_errno(err, -errno, "IPVS connections");
	if (malformed)
		return err_set(err, -EBADMSG, "IPVS connections: %zu lines not understood",
			       malformed);
	return 0;
}

/* The file shows the namespace in which it was opened, whoever reads it. */
static int table_open(struct net *net, FILE **ret, struct err *err)
{
	static const char path[] = "/proc/thread-self/net/ip_vs_conn";
	auto_netns int saved = -1;
	int r = netns_enter(net->netns, &saved, err);

	if (r < 0)
		return r;
	*ret = fopen(path, "re");
	return *ret ? 0 : err_errno(err, -errno, "%s", path);
}

int ipvs_conn_each(struct net *net, ipvs_conn_fn *fn, void *data, struct err *err)
{
	auto_file FILE *table = NULL;
	int r = table_open(net, &table, err);

	return r < 0 ? r : ipvs_conn_read(table, fn, data, err);
}

/* --- conntrack entries --- */

struct restoring {
	struct net *net;
	ipvs_mark_fn *fn;
	void *data;
	struct ipvs_restored *ret;
	struct err refusal; /* the first one's */
	struct conntrack_flow *flows;
	size_t n;
};

static void restoring_free(struct restoring *r)
{
	free(r->flows);
}

static int restore_flush(struct restoring *restoring, struct err *err)
{
	size_t refused = 0;
	int r = net_conntrack_ensure(restoring->net, restoring->flows, restoring->n, &refused, err);

	if (r < 0)
		return r;
	if (refused && !restoring->ret->refused)
		restoring->refusal = *err;
	restoring->ret->refused += refused;
	restoring->ret->ensured += restoring->n - refused;
	restoring->n = 0;
	return 0;
}

static int restore_one(const struct ipvs_conn *conn, void *data, struct err *err)
{
	struct restoring *restoring = data;
	struct conntrack_flow *flow = &restoring->flows[restoring->n];
	uint32_t mark = 0;

	if (!conn->open || !restoring->fn(conn, &mark, restoring->data))
		return 0;
	*flow = (struct conntrack_flow){
		.protocol = conn->protocol == IPVS_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.client = conn->client,
		.service = conn->service,
		.server = conn->server,
		.mark = mark,
		.timeout = conn->expires,
	};
	return ++restoring->n == FLOWS_ROOM ? restore_flush(restoring, err) : 0;
}

int ipvs_restore(struct net *net, ipvs_mark_fn *fn, void *data, struct ipvs_restored *ret,
		 struct err *err)
{
	__attribute__((cleanup(restoring_free))) struct restoring restoring = {
		.net = net,
		.fn = fn,
		.data = data,
		.ret = ret,
		.flows = xcalloc(FLOWS_ROOM, sizeof(*restoring.flows)),
	};
	struct err flush_err;
	int r;

	*ret = (struct ipvs_restored){0};
	r = ipvs_conn_each(net, restore_one, &restoring, err);
	/* What was read goes in also where the rest was not understood. */
	if (restoring.n && restore_flush(&restoring, &flush_err) < 0 && r == 0) {
		*err = flush_err;
		r = err->code;
	}
	if (r == 0 && ret->refused)
		*err = restoring.refusal;
	return r < 0 ? err_wrap(err, "restoring connections") : 0;
}

/* What lib/net does with IPVS, a command at a time, in the namespace it is started in:
 *
 *	ipvs_tool apply PREFIX <OBJECTS	makes the kernel hold them, services in PREFIX being ours;
 *					prints the plan it carried out
 *	ipvs_tool sync INTERFACE ID	runs the daemons; "none" instead of both ends them
 *	ipvs_tool conns			prints the table
 *	ipvs_tool restore PREFIX	makes conntrack entries of connections to PREFIX, each with the
 *					last byte of its service's address as mark; prints how many, how
 *					many were refused, and the CPU time it took in ms
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "config.h"
#include "ipvs.h"
#include "ipvs_conn.h"

#define OBJECTS_MAX 65536

static int apply(struct net *net, const char *prefix, struct err *err)
{
	auto_object_list struct object_list wanted = {0}, actual = {0};
	auto_config_text struct config_text text = {0};
	auto_plan struct plan plan = {0};
	auto_strbuf struct strbuf b = {0};
	static char json[OBJECTS_MAX];
	struct config_value root;
	struct prefix ours;

	json[fread(json, 1, sizeof(json) - 1, stdin)] = '\0';
	if (prefix_parse(prefix, &ours) < 0 || config_text_parse("objects", json, &text, err) < 0)
		return -1;
	root = config_root(&text);
	net_own_services(net, &ours, 1);
	if (object_list_decode(&root, &wanted, NULL, err) < 0 ||
	    net_observe(net, &wanted, &actual, err) < 0)
		return -1;
	plan_make(&wanted, &actual, &plan);
	plan_print(&plan, false, &b);
	printf("%s", strbuf_text(&b));
	return net_apply(net, &plan, NULL, NULL, err);
}

static int sync_daemons(struct net *net, char **argv, struct err *err)
{
	struct ipvs_sync sync = {0};

	if (!argv[1])
		return ipvs_sync_ensure(net, NULL, err);
	snprintf(sync.interface, sizeof(sync.interface), "%s", argv[0]);
	sync.id = (unsigned int)atoi(argv[1]);
	return ipvs_sync_ensure(net, &sync, err);
}

static void print_end(const struct flow_end *end)
{
	char text[ADDR_STRLEN];

	printf(" %s:%u", addr_format(&end->addr, text), end->port);
}

static int print_conn(const struct ipvs_conn *conn, void *data, struct err *err)
{
	(void)data, (void)err;
	printf("%s", conn->protocol == IPVS_UDP ? "udp" : "tcp");
	print_end(&conn->client);
	print_end(&conn->service);
	print_end(&conn->server);
	printf(" %s %u\n", conn->open ? "open" : "-", conn->expires);
	return 0;
}

static bool mark_of(const struct ipvs_conn *conn, uint32_t *mark, void *data)
{
	*mark = conn->service.addr.bytes[3];
	return prefix_contains(data, &conn->service.addr);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static int restore(struct net *net, const char *text, struct err *err)
{
	struct ipvs_restored restored = {0};
	double before = cpu_ms();
	struct prefix prefix;
	int r = prefix_parse(text, &prefix);

	if (r == 0)
		r = ipvs_restore(net, mark_of, &prefix, &restored, err);
	printf("%zu %zu %.1f\n", restored.ensured, restored.refused, cpu_ms() - before);
	if (restored.refused)
		fprintf(stderr, "%s\n", err->text);
	return r;
}

static int command(struct net *net, int argc, char **argv, struct err *err)
{
	if (argc == 3 && !strcmp(argv[1], "apply"))
		return apply(net, argv[2], err);
	if (argc >= 3 && !strcmp(argv[1], "sync"))
		return sync_daemons(net, argv + 2, err);
	if (argc == 2 && !strcmp(argv[1], "conns"))
		return ipvs_conn_each(net, print_conn, NULL, err);
	if (argc == 3 && !strcmp(argv[1], "restore"))
		return restore(net, argv[2], err);
	return err_set(err, -1, "no such command");
}

int main(int argc, char **argv)
{
	auto_net struct net *net = NULL;
	struct err err = {0};

	if (net_open(NULL, &net, &err) == 0 && command(net, argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "ipvs_tool: %s\n", err.text);
	return 1;
}

/* Theory of operation
 *
 * A port has one IPv4 address: MAC and filters derive from it. Its length is the subnet's, whatever
 * the delegate says, which may know but this node's part of it.
 *
 * A client's routes decide where it may go, and everything outside the intranet goes by the VIP.
 * So a delegate's route is taken over where its destination lies within the intranet, say to a
 * second network behind a router of ours. Elsewhere the split routes stand already: a route by the
 * VIP ("everything by the gateway", the usual one) says the same and is left out, and one by another
 * gateway would be a way around the tunnels and is refused. Other roles get what the delegate says.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cleanup.h"
#include "ipam.h"
#include "mem.h"

/* --- documents --- */

static int parse(const char *bytes, size_t len, struct config_text *ret, struct err *err)
{
	json_error_t e;
	json_t *root;

	if (memchr(bytes, '\0', len))
		return err_set(err, -EINVAL, "its answer: NUL byte");
	root = json_loads(bytes, 0, &e);
	if (!root)
		return err_set(err, -EINVAL, "its answer:%d: %s", e.line < 1 ? 1 : e.line, e.text);
	*ret = (struct config_text){xstrdup("its answer"), xstrdup(bytes), root};
	return 0;
}

int ipam_decode_result(const char *text, size_t len, enum cni_version version, struct result *ret,
		       struct err *err)
{
	auto_config_text struct config_text answer = {0};
	struct config_value root;
	int r = parse(text, len, &answer, err);

	if (r < 0)
		return r;
	root = config_root(&answer);
	return result_decode(&root, version, ret, err);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* An error value is one line. */
static void one_line(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ')
			*s = ' ';
	}
}

enum cni_code ipam_decode_error(const char *text, size_t len, struct err *err)
{
	auto_config_text struct config_text answer = {0};
	const char *msg, *details;
	json_int_t code;

	if (parse(text, len, &answer, err) < 0) {
		err_set(err, -EREMOTEIO, "failed, and did not say why: %.100s", text);
		one_line(err->text);
		return CNI_IO;
	}
	code = json_integer_value(json_object_get(answer.root, "code"));
	msg = text_of(answer.root, "msg");
	details = text_of(answer.root, "details");
	err_set(err, -EREMOTEIO, "%s%s%s", *msg ? msg : "failed", *details ? ": " : "", details);
	one_line(err->text);
	return code > 0 && code <= INT_MAX ? (enum cni_code)code : CNI_IO;
}

/* --- its use --- */

static int use_address(const struct netconf *c, const struct result *given, struct attachment *link,
		       struct err *err)
{
	const struct result_ip *ips = given->ips.items;
	char text[ADDR_STRLEN], subnet[PREFIX_STRLEN];
	const struct addr *addr;

	if (!given->ips.n)
		return err_set(err, -EINVAL, "gave no address");
	if (given->ips.n > 1)
		return err_set(err, -EINVAL, "gave %zu addresses: an interface has one",
			       given->ips.n);
	addr = &ips[0].addr.addr;
	addr_format(addr, text);
	if (addr->family != AF_INET)
		return err_set(err, -EINVAL, "gave %s: the network carries IPv4", text);
	if (addr_equal(addr, &c->vip))
		return err_set(err, -EINVAL, "gave %s, which is the VIP", text);
	if (!netconf_is_host(c, addr))
		return err_set(err, -EINVAL, "gave %s, not an address for a host in %s", text,
			       prefix_format(&c->subnet, subnet));
	link->addr = (struct prefix){.addr = *addr, .len = c->subnet.len};
	return 0;
}

static bool within_intranet(const struct netconf *c, const struct prefix *dst)
{
	const struct prefix *intranet = c->intranet.items;

	for (size_t i = 0; i < c->intranet.n; i++) {
		if (intranet[i].len <= dst->len && prefix_contains(&intranet[i], &dst->addr))
			return true;
	}
	return false;
}

/* Where the route names no gateway, it is the address's. */
static int use_route(const struct netconf *c, const struct result_ip *ip,
		     const struct result_route *route, struct attachment *link, struct err *err)
{
	const struct addr *gw = addr_size(&route->gw) ? &route->gw : &ip->gateway;
	struct attach_route *last;
	char dst[PREFIX_STRLEN], via[ADDR_STRLEN];

	prefix_format(&route->dst, dst);
	addr_format(gw, via);
	if (c->role == ROLE_CLIENT && !within_intranet(c, &route->dst)) {
		if (addr_equal(gw, &c->vip))
			return 0;
		return err_set(err, -EINVAL,
			       "route %s by %s: a client's way to there is the VIP alone", dst,
			       via);
	}
	if (gw->family != AF_INET || route->dst.addr.family != AF_INET ||
	    !prefix_contains(&c->subnet, gw))
		return err_set(err, -EINVAL, "route %s: its gateway (%s) is not in the subnet", dst,
			       via);
	link->routes = xreallocarray(link->routes, link->n_routes + 1, sizeof(*link->routes));
	last = &link->routes[link->n_routes++];
	*last = (struct attach_route){
		.dst = prefix_network(&route->dst), .type = ROUTE_UNICAST, .via = *gw};
	return 0;
}

enum cni_code ipam_use(const struct netconf *conf, const struct result *given,
		       struct attachment *link, struct err *err)
{
	const struct result_route *routes = given->routes.items;
	int r = use_address(conf, given, link, err);

	for (size_t i = 0; r == 0 && i < given->routes.n; i++)
		r = use_route(conf, given->ips.items, &routes[i], link, err);
	if (r == 0)
		return CNI_OK;
	err_wrap(err, "ipam %s", conf->ipam_type);
	return CNI_BAD_CONFIG;
}

/* The interface is the pod's end alone: the other end is not on the host but in the node agent's
 * namespace, of which neither the specification nor a runtime knows anything. */
#include "result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

/* Takes over the reference to `value`. */
static void put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		abort();
}

static void append(json_t *list, json_t *value)
{
	if (json_array_append_new(list, value) < 0)
		abort();
}

static void put_addr(json_t *object, const char *key, const struct addr *addr)
{
	char text[ADDR_STRLEN];

	if (addr->family != AF_UNSPEC)
		put(object, key, json_string(addr_format(addr, text)));
}

static void put_prefix(json_t *object, const char *key, const struct prefix *prefix)
{
	char text[PREFIX_STRLEN];

	put(object, key, json_string(prefix_format(prefix, text)));
}

static char *finish(json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);

	if (!text)
		abort();
	json_decref(root);
	return text;
}

static json_t *routes_json(const struct attachment *link)
{
	json_t *list = json_array();

	for (size_t i = 0; i < link->n_routes; i++) {
		const struct attach_route *route = &link->routes[i];
		json_t *item;

		if (route->type != ROUTE_UNICAST)
			continue;
		item = json_object();
		put_prefix(item, "dst", &route->dst);
		put_addr(item, "gw", &route->via);
		append(list, item);
	}
	return list;
}

/* Versions 0.1.0 and 0.2.0: one address, with the routes inside. */
static void put_ip4(json_t *root, const struct attachment *link, const struct addr *gateway)
{
	json_t *ip4 = json_object();

	put_prefix(ip4, "ip", &link->addr);
	put_addr(ip4, "gateway", gateway);
	put(ip4, "routes", routes_json(link));
	put(root, "ip4", ip4);
}

static json_t *interface_json(enum cni_version version, const struct attachment *link,
			      const char *sandbox)
{
	json_t *item = json_object();
	char mac[MAC_STRLEN];

	put(item, "name", json_string(link->ifname));
	put(item, "mac", json_string(mac_format(&link->mac, mac)));
	if (version >= CNI_1_1_0)
		put(item, "mtu", json_integer(link->mtu));
	put(item, "sandbox", json_string(sandbox));
	return item;
}

static void put_interfaces(json_t *root, enum cni_version version, const struct attachment *link,
			   const char *sandbox, const struct addr *gateway)
{
	json_t *interfaces = json_array(), *ips = json_array();

	append(interfaces, interface_json(version, link, sandbox));
	put(root, "interfaces", interfaces);
	if (link->addr.addr.family != AF_UNSPEC) {
		json_t *ip = json_object();

		if (version < CNI_1_0_0)
			put(ip, "version", json_string("4"));
		put(ip, "interface", json_integer(0));
		put_prefix(ip, "address", &link->addr);
		put_addr(ip, "gateway", gateway);
		append(ips, ip);
	}
	put(root, "ips", ips);
	put(root, "routes", routes_json(link));
}

char *result_attached(enum cni_version version, const struct attachment *link, const char *sandbox,
		      const struct addr *gateway)
{
	json_t *root = json_object();

	put(root, "cniVersion", json_string(cni_version_names[version]));
	if (version <= CNI_0_2_0)
		put_ip4(root, link, gateway);
	else
		put_interfaces(root, version, link, sandbox, gateway);
	put(root, "dns", json_object());
	return finish(root);
}

char *result_versions(enum cni_version version)
{
	json_t *root = json_object(), *list = json_array();

	for (size_t i = 0; i < CNI_VERSIONS; i++)
		append(list, json_string(cni_version_names[i]));
	put(root, "cniVersion", json_string(cni_version_names[version]));
	put(root, "supportedVersions", list);
	return finish(root);
}

static const char *code_message(enum cni_code code)
{
	switch (code) {
	case CNI_OK:
		return "no error";
	case CNI_BAD_VERSION:
		return "incompatible CNI versions";
	case CNI_UNSUPPORTED:
		return "unsupported field in the network configuration";
	case CNI_BAD_ENV:
		return "invalid environment variables";
	case CNI_IO:
		return "input or output failed";
	case CNI_BAD_JSON:
		return "cannot decode the network configuration";
	case CNI_BAD_CONFIG:
		return "invalid network configuration";
	case CNI_BAD_NETNS:
		return "invalid network namespace";
	case CNI_AGAIN:
		return "try again later";
	case CNI_NOT_AVAILABLE:
		return "the plugin is not available";
	case CNI_NO_ADDRESS:
		return "no free address";
	case CNI_ADDRESS_IN_USE:
		return "address in use";
	case CNI_ATTACHED:
		return "attached already";
	}
	return "failed";
}

/* What a user typed may be quoted in `details` and need not be UTF-8, which JSON must be. */
static json_t *string_json(const char *s)
{
	json_t *json = json_string(s);
	char *copy;

	if (json)
		return json;
	copy = xstrdup(s);
	for (char *p = copy; *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	json = json_string(copy);
	free(copy);
	return json;
}

char *result_error(enum cni_version version, enum cni_code code, const char *details)
{
	json_t *root = json_object();

	put(root, "cniVersion", json_string(cni_version_names[version]));
	put(root, "code", json_integer(code));
	put(root, "msg", json_string(code_message(code)));
	put(root, "details", string_json(details));
	return finish(root);
}

int result_write(const char *text, struct err *err)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return err_errno(err, -errno, "standard output");
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

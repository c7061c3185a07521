/* Of our own the pod's end alone is told. Other plugins list bridge and port before it, which lie in
 * the host's namespace. Ours lie in the node agent's: without `sandbox` they would be looked for on
 * the host, where the next plugin of a chain finds nothing, or another link of that name; with the
 * path of the node agent's namespace they would be the pod's for Multus, whose network-status has an
 * entry for each interface with a sandbox.
 */
#include "result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
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

/* -1 is none. */
static void put_number(json_t *object, const char *key, int64_t n)
{
	if (n >= 0)
		put(object, key, json_integer(n));
}

static void put_text(json_t *object, const char *key, const char *text)
{
	if (text)
		put(object, key, json_string(text));
}

static json_t *route_json(const struct result_route *route, enum cni_version version)
{
	json_t *item = json_object();

	put_prefix(item, "dst", &route->dst);
	put_addr(item, "gw", &route->gw);
	if (version < CNI_1_1_0)
		return item;
	put_number(item, "mtu", route->mtu);
	put_number(item, "advmss", route->advmss);
	put_number(item, "priority", route->priority);
	put_number(item, "table", route->table);
	put_number(item, "scope", route->scope);
	return item;
}

/* Those of one family, or all for AF_UNSPEC. */
static json_t *routes_json(const struct result *r, enum cni_version version, sa_family_t family)
{
	const struct result_route *routes = r->routes.items;
	json_t *list = json_array();

	for (size_t i = 0; i < r->routes.n; i++) {
		if (family == AF_UNSPEC || family == routes[i].dst.addr.family)
			append(list, route_json(&routes[i], version));
	}
	return list;
}

static json_t *old_ip_json(const struct result *r, const struct result_ip *ip)
{
	json_t *item = json_object();

	put_prefix(item, "ip", &ip->addr);
	put_addr(item, "gateway", &ip->gateway);
	put(item, "routes", routes_json(r, CNI_0_2_0, ip->addr.addr.family));
	return item;
}

/* Versions 0.1.0 and 0.2.0: one address a family, with its routes inside. */
static void put_old_ips(json_t *root, const struct result *r)
{
	const struct result_ip *ips = r->ips.items, *ip4 = NULL, *ip6 = NULL;

	for (size_t i = 0; i < r->ips.n; i++)
		*(ips[i].addr.addr.family == AF_INET ? &ip4 : &ip6) = &ips[i];
	if (ip4)
		put(root, "ip4", old_ip_json(r, ip4));
	if (ip6)
		put(root, "ip6", old_ip_json(r, ip6));
}

static json_t *interface_json(const struct result_interface *interface, enum cni_version version)
{
	json_t *item = json_object();

	put_text(item, "name", interface->name);
	put_text(item, "mac", interface->mac);
	if (version >= CNI_1_1_0) {
		put_number(item, "mtu", interface->mtu);
		put_text(item, "socketPath", interface->socket_path);
		put_text(item, "pciID", interface->pci_id);
	}
	put_text(item, "sandbox", interface->sandbox);
	return item;
}

static json_t *ip_json(const struct result_ip *ip, enum cni_version version)
{
	json_t *item = json_object();

	if (version < CNI_1_0_0)
		put(item, "version", json_string(ip->addr.addr.family == AF_INET ? "4" : "6"));
	put_number(item, "interface", ip->interface);
	put_prefix(item, "address", &ip->addr);
	put_addr(item, "gateway", &ip->gateway);
	return item;
}

static void put_lists(json_t *root, const struct result *r, enum cni_version version)
{
	const struct result_interface *interface = r->interfaces.items;
	json_t *interfaces = json_array(), *ips = json_array();
	const struct result_ip *ip = r->ips.items;

	for (size_t i = 0; i < r->interfaces.n; i++)
		append(interfaces, interface_json(&interface[i], version));
	for (size_t i = 0; i < r->ips.n; i++)
		append(ips, ip_json(&ip[i], version));
	put(root, "interfaces", interfaces);
	put(root, "ips", ips);
	put(root, "routes", routes_json(r, version, AF_UNSPEC));
}

static void put_names(json_t *object, const char *key, const struct config_array *names)
{
	char *const *name = names->items;
	json_t *list;

	if (!names->n)
		return;
	list = json_array();
	for (size_t i = 0; i < names->n; i++)
		append(list, json_string(name[i]));
	put(object, key, list);
}

static json_t *dns_json(const struct result_dns *dns)
{
	json_t *object = json_object();

	put_names(object, "nameservers", &dns->nameservers);
	put_text(object, "domain", dns->domain);
	put_names(object, "search", &dns->search);
	put_names(object, "options", &dns->options);
	return object;
}

char *result_format(const struct result *r, enum cni_version version)
{
	json_t *root = json_object();

	put(root, "cniVersion", json_string(cni_version_names[version]));
	if (version <= CNI_0_2_0)
		put_old_ips(root, r);
	else
		put_lists(root, r, version);
	put(root, "dns", dns_json(&r->dns));
	return finish(root);
}

/* --- what a result consists of --- */

static void names_clear(struct config_array *names)
{
	char **name = names->items;

	for (size_t i = 0; i < names->n; i++)
		free(name[i]);
	free(name);
}

void result_dns_clear(struct result_dns *dns)
{
	names_clear(&dns->nameservers);
	names_clear(&dns->search);
	names_clear(&dns->options);
	free(dns->domain);
	*dns = (struct result_dns){0};
}

void result_clear(struct result *r)
{
	struct result_interface *interface = r->interfaces.items;

	for (size_t i = 0; i < r->interfaces.n; i++) {
		free(interface[i].name);
		free(interface[i].mac);
		free(interface[i].sandbox);
		free(interface[i].socket_path);
		free(interface[i].pci_id);
	}
	free(r->interfaces.items);
	free(r->ips.items);
	free(r->routes.items);
	result_dns_clear(&r->dns);
	*r = (struct result){0};
}

void result_take_dns(struct result *r, struct result_dns *dns)
{
	if (!dns->nameservers.n && !dns->domain && !dns->search.n && !dns->options.n)
		return;
	result_dns_clear(&r->dns);
	r->dns = *dns;
	*dns = (struct result_dns){0};
}

static void append_interface(struct result *r, const struct attachment *link, const char *sandbox)
{
	char mac[MAC_STRLEN];
	const struct result_interface interface = {
		.name = xstrdup(link->ifname),
		.mac = xstrdup(mac_format(&link->mac, mac)),
		.sandbox = xstrdup(sandbox),
		.mtu = link->mtu,
	};

	config_array_append(&r->interfaces, &interface, 1, sizeof(interface));
}

void result_append(struct result *r, const struct attachment *link, const char *sandbox,
		   const struct addr *gateway)
{
	const struct result_ip ip = {
		.addr = link->addr, .gateway = *gateway, .interface = (int64_t)r->interfaces.n};

	append_interface(r, link, sandbox);
	if (link->addr.addr.family != AF_UNSPEC)
		config_array_append(&r->ips, &ip, 1, sizeof(ip));
	for (size_t i = 0; i < link->n_routes; i++) {
		const struct result_route route = {.dst = link->routes[i].dst,
						   .gw = link->routes[i].via,
						   .mtu = -1,
						   .advmss = -1,
						   .priority = -1,
						   .table = -1,
						   .scope = -1};

		/* The guard's routes say the same as the main table's. */
		if (link->routes[i].type == ROUTE_UNICAST && !link->routes[i].table)
			config_array_append(&r->routes, &route, 1, sizeof(route));
	}
}

int result_fits(const struct result *r, bool address, enum cni_version version, struct err *err)
{
	const struct result_ip *ips = r->ips.items;
	size_t n4 = address, n6 = 0;

	for (size_t i = 0; i < r->ips.n; i++)
		*(ips[i].addr.addr.family == AF_INET ? &n4 : &n6) += 1;
	if (version > CNI_0_2_0 || (n4 + n6 > 0 && n4 <= 1 && n6 <= 1))
		return 0;
	if (!n4 && !n6)
		return err_set(err, -EINVAL, "CNI version %s: a result must have an address",
			       cni_version_names[version]);
	return err_set(err, -EINVAL,
		       "CNI version %s does not support more than 1 address per family",
		       cni_version_names[version]);
}

/* --- other documents --- */

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
	case CNI_LIMITED:
		return "the plugin is not available, and pods have limited connectivity";
	case CNI_NO_ADDRESS:
		return "no free address";
	case CNI_ADDRESS_IN_USE:
		return "address in use";
	case CNI_ATTACHED:
		return "attached already";
	case CNI_CHANGED:
		return "the attachment is not as it was made";
	}
	return "failed";
}

/* What a user typed may be quoted in `details`: it is to stay one line, and need not be UTF-8, which
 * JSON must be. */
static json_t *string_json(const char *s)
{
	auto_free char *copy = xstrdup(s);
	json_t *json;

	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = '?';
	}
	json = json_string(copy);
	if (json)
		return json;
	for (char *p = copy; *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	return json_string(copy);
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

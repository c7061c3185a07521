/* What other plugins write: the one before us in a chain, and the delegate that gives addresses.
 * Both are programs of somebody else, so everything is bounded, and what we do not know is left
 * out, as in every plugin that decodes into fields.
 */
#include "result.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"

#define FIELD(type, key_, decode_, member, ...)                                               \
	{                                                                                     \
		.key = key_, .decode = decode_, .offset = offsetof(type, member), __VA_ARGS__ \
	}

/* --- values --- */

/* char *, owned; Go programs that forget an "omitempty" write "" for what is not there. */
static int decode_text(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	if (json_is_string(v->json) && !json_string_length(v->json))
		return 0;
	return config_string(v, out, arg, err);
}

static int decode_addr(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	if (json_is_string(v->json) && !json_string_length(v->json))
		return 0;
	return config_addr(v, out, arg, err);
}

/* int64_t, where -1 is none. */
static int decode_number(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_bounds bounds = {0, UINT32_MAX};
	unsigned int n = 0;
	int r = config_uint(v, &n, &bounds, err);

	if (r == 0)
		*(int64_t *)out = n;
	return r;
}

static const struct config_list names_list = {
	.decode = config_string, .item_size = sizeof(char *), .max = RESULT_NAMES_MAX};

int result_dns_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_field fields[] = {
		FIELD(struct result_dns, "nameservers", config_list, nameservers,
		      .arg = &names_list),
		FIELD(struct result_dns, "domain", decode_text, domain),
		FIELD(struct result_dns, "search", config_list, search, .arg = &names_list),
		FIELD(struct result_dns, "options", config_list, options, .arg = &names_list),
	};
	static const struct config_object object = {fields, array_len(fields), .lenient = true};

	return config_object(v, out, &object, err);
}

static void route_init(void *item)
{
	*(struct result_route *)item = (struct result_route){
		.mtu = -1, .advmss = -1, .priority = -1, .table = -1, .scope = -1};
}

static const struct config_field route_fields[] = {
	FIELD(struct result_route, "dst", config_prefix, dst, .required = true),
	FIELD(struct result_route, "gw", decode_addr, gw),
	FIELD(struct result_route, "mtu", decode_number, mtu),
	FIELD(struct result_route, "advmss", decode_number, advmss),
	FIELD(struct result_route, "priority", decode_number, priority),
	FIELD(struct result_route, "table", decode_number, table),
	FIELD(struct result_route, "scope", decode_number, scope),
};
static const struct config_object route_object = {route_fields, array_len(route_fields),
						  .lenient = true};
static const struct config_list routes_list = {.decode = config_object,
					       .arg = &route_object,
					       .item_size = sizeof(struct result_route),
					       .max = RESULT_ROUTES_MAX,
					       .init = route_init};

/* --- from 0.3.0 on --- */

static void interface_init(void *item)
{
	((struct result_interface *)item)->mtu = -1;
}

static const struct config_field interface_fields[] = {
	FIELD(struct result_interface, "name", config_string, name, .required = true),
	FIELD(struct result_interface, "mac", decode_text, mac),
	FIELD(struct result_interface, "sandbox", decode_text, sandbox),
	FIELD(struct result_interface, "socketPath", decode_text, socket_path),
	FIELD(struct result_interface, "pciID", decode_text, pci_id),
	FIELD(struct result_interface, "mtu", decode_number, mtu),
};
static const struct config_object interface_object = {interface_fields, array_len(interface_fields),
						      .lenient = true};
static const struct config_list interfaces_list = {.decode = config_object,
						   .arg = &interface_object,
						   .item_size = sizeof(struct result_interface),
						   .max = RESULT_INTERFACES_MAX,
						   .init = interface_init};

static void ip_init(void *item)
{
	((struct result_ip *)item)->interface = -1;
}

static const struct config_field ip_fields[] = {
	FIELD(struct result_ip, "address", config_prefix, addr, .required = true),
	FIELD(struct result_ip, "gateway", decode_addr, gateway),
	FIELD(struct result_ip, "interface", decode_number, interface),
};
static const struct config_object ip_object = {ip_fields, array_len(ip_fields), .lenient = true};
static const struct config_list ips_list = {.decode = config_object,
					    .arg = &ip_object,
					    .item_size = sizeof(struct result_ip),
					    .max = RESULT_IPS_MAX,
					    .init = ip_init};

static const struct config_field result_fields[] = {
	FIELD(struct result, "interfaces", config_list, interfaces, .arg = &interfaces_list),
	FIELD(struct result, "ips", config_list, ips, .arg = &ips_list),
	FIELD(struct result, "routes", config_list, routes, .arg = &routes_list),
	FIELD(struct result, "dns", result_dns_decode, dns),
};
static const struct config_object result_object = {result_fields, array_len(result_fields),
						   .lenient = true};

static int check_interfaces(const struct config_value *v, const struct result *r, struct err *err)
{
	const struct result_ip *ips = r->ips.items;

	for (size_t i = 0; i < r->ips.n; i++) {
		if (ips[i].interface >= (int64_t)r->interfaces.n)
			return config_error(v, err, "address %zu is on interface %lld of %zu", i,
					    (long long)ips[i].interface, r->interfaces.n);
	}
	return 0;
}

/* --- 0.1.0 and 0.2.0: one address a family, with its routes inside --- */

struct old_ip {
	struct prefix ip;
	struct addr gateway;
	struct config_array routes;
};

static const struct config_field old_ip_fields[] = {
	FIELD(struct old_ip, "ip", config_prefix, ip, .required = true),
	FIELD(struct old_ip, "gateway", decode_addr, gateway),
	FIELD(struct old_ip, "routes", config_list, routes, .arg = &routes_list),
};
static const struct config_object old_ip_object = {old_ip_fields, array_len(old_ip_fields),
						   .lenient = true};

static void old_ip_clear(struct old_ip *old)
{
	free(old->routes.items);
}

/* `arg` is the family of "ip4" or "ip6"; the routes are told by their own. */
static int decode_old_ip(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	__attribute__((cleanup(old_ip_clear))) struct old_ip old = {0};
	const sa_family_t *family = arg;
	struct result *r = out;
	struct result_ip ip;

	if (config_object(v, &old, &old_ip_object, err) < 0)
		return -EINVAL;
	if (old.ip.addr.family != *family)
		return config_error(v, err, "is an address of the other family");
	ip = (struct result_ip){.addr = old.ip, .gateway = old.gateway, .interface = -1};
	config_array_append(&r->ips, &ip, 1, sizeof(ip));
	config_array_append(&r->routes, old.routes.items, old.routes.n,
			    sizeof(struct result_route));
	return 0;
}

static const sa_family_t inet = AF_INET, inet6 = AF_INET6;

static const struct config_field old_fields[] = {
	{.key = "ip4", .decode = decode_old_ip, .arg = &inet},
	{.key = "ip6", .decode = decode_old_ip, .arg = &inet6},
	{.key = "dns", .decode = result_dns_decode, .offset = offsetof(struct result, dns)},
};
static const struct config_object old_object = {old_fields, array_len(old_fields), .lenient = true};

/* --- of any version --- */

static int decode_version(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = json_string_value(v->json);

	if (!s || (*s && !cni_version_find(s, out)))
		return config_error(v, err, "is no version of the CNI specification that we know");
	return 0;
}

int result_decode(const struct config_value *v, enum cni_version version, struct result *ret,
		  struct err *err)
{
	static const struct config_field fields[] = {
		{.key = "cniVersion", .decode = decode_version}};
	static const struct config_object object = {fields, array_len(fields), .lenient = true};

	if (config_object(v, &version, &object, err) < 0 ||
	    config_object(v, ret, version <= CNI_0_2_0 ? &old_object : &result_object, err) < 0)
		return -EINVAL;
	return check_interfaces(v, ret, err);
}

static int decode_previous(const struct config_value *v, void *out, const void *arg,
			   struct err *err)
{
	const enum cni_version *version = arg;

	return result_decode(v, *version, out, err);
}

int result_previous(const struct config_text *text, enum cni_version version, struct result *ret,
		    struct err *err)
{
	const struct config_field field = {
		.key = "prevResult", .decode = decode_previous, .arg = &version};
	const struct config_object object = {&field, 1, .lenient = true};
	const struct config_value root = config_root(text);

	return config_object(&root, ret, &object, err);
}

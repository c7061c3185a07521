#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

/* More addresses than this are nobody's request. */
#define IPS_MAX 64

static bool list_has(const struct config_array *list, const struct addr *a)
{
	const struct addr *items = list->items;

	for (size_t i = 0; i < list->n; i++) {
		if (addr_equal(&items[i], a))
			return true;
	}
	return false;
}

/* `list` has room for it. */
static void list_add(struct config_array *list, const struct addr *a)
{
	if (!list_has(list, a))
		((struct addr *)list->items)[list->n++] = *a;
}

/* "192.168.50.7" or "192.168.50.7/24": how long the prefix is, is the subnet's matter. */
static int decode_ip(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	struct prefix p = {0};
	int r = config_prefix(v, &p, arg, err);

	if (r == 0)
		*(struct addr *)out = p.addr;
	return r;
}

static int decode_ips(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_list list = {
		.decode = decode_ip, .item_size = sizeof(struct addr), .max = IPS_MAX};
	struct config_array all = {0}, *ips = out;
	const struct addr *items;
	int r = config_list(v, &all, &list, err);

	items = all.items;
	if (r == 0 && all.n) {
		ips->items = xreallocarray(ips->items, all.n, sizeof(struct addr));
		ips->n = 0;
		for (size_t i = 0; i < all.n; i++)
			list_add(ips, &items[i]);
	}
	free(all.items);
	return r;
}

static bool is_unicast(const struct mac *m)
{
	static const struct mac none;

	return !(m->bytes[0] & 1) && !mac_equal(m, &none);
}

static int decode_mac(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	struct mac mac = {0};
	int r;

	if (json_is_string(v->json) && !json_string_length(v->json))
		return 0; /* how a template says "none" */
	r = config_mac(v, &mac, arg, err);
	if (r < 0)
		return r;
	if (!is_unicast(&mac))
		return config_error(v, err, "must be the address of one station");
	*(struct mac *)out = mac;
	return 0;
}

int request_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_field fields[] = {
		{.key = "ips", .decode = decode_ips, .offset = offsetof(struct netconf, ips)},
		{.key = "mac", .decode = decode_mac, .offset = offsetof(struct netconf, mac)},
	};
	static const struct config_object object = {fields, array_len(fields), .lenient = true};

	return config_object(v, out, &object, err);
}

int request_decode_args(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_field fields[] = {{.key = "cni", .decode = request_decode}};
	static const struct config_object object = {fields, array_len(fields), .lenient = true};

	return config_object(v, out, &object, err);
}

/* --- CNI_ARGS --- */

static int add_args_ip(struct netconf *c, const char *list, struct err *err)
{
	/* At least two characters an address, with its comma. */
	c->ips.items = xreallocarray(c->ips.items, strlen(list) + 1, sizeof(struct addr));
	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
		char text[PREFIX_STRLEN];
		size_t n = strcspn(p, ",");
		struct prefix ip;

		if (!n)
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)n, p);
		if (n >= sizeof(text) || prefix_parse(text, &ip) < 0)
			return err_set(err, -EINVAL, "CNI_ARGS: IP: \"%s\" is not an address",
				       text);
		list_add(&c->ips, &ip.addr);
	}
	return 0;
}

static int add_args(struct netconf *c, const struct cni_env *env, struct err *err)
{
	static const struct mac none;

	if (mac_equal(&c->mac, &none) && *env->args_mac &&
	    (mac_parse(env->args_mac, &c->mac) < 0 || !is_unicast(&c->mac)))
		return err_set(err, -EINVAL,
			       "CNI_ARGS: MAC: \"%s\" is not the address of one station",
			       env->args_mac);
	return c->ips.n ? 0 : add_args_ip(c, env->args_ip, err);
}

/* --- what can be had --- */

static int check_ip(const struct netconf *c, struct err *err)
{
	const struct addr *ips = c->ips.items;
	char text[ADDR_STRLEN], subnet[PREFIX_STRLEN];

	if (!c->ips.n)
		return 0;
	addr_format(&ips[0], text);
	if (c->role == ROLE_GATEWAY)
		return err_set(err, -EINVAL, "%s is requested: role gateway has no address", text);
	if (c->ips.n > 1)
		return err_set(err, -EINVAL,
			       "%zu addresses are requested, %s and others: an interface has one",
			       c->ips.n, text);
	if (ips[0].family != AF_INET)
		return err_set(err, -EINVAL, "%s is requested: the network carries IPv4", text);
	if (addr_equal(&ips[0], &c->vip))
		return err_set(err, -EINVAL, "%s is requested: it is the VIP", text);
	if (!netconf_is_host(c, &ips[0]))
		return err_set(err, -EINVAL, "%s is requested: not an address for a host in %s",
			       text, prefix_format(&c->subnet, subnet));
	return 0;
}

/* MAC addresses that begin like those made from IPv4 addresses belong to these: of the VIP, of an
 * exit, of any other pod. */
static int check_mac(const struct netconf *c, struct err *err)
{
	const struct addr *ips = c->ips.items;
	const struct mac derived =
		mac_from_addr(c->ips.n ? &ips[0] : &(struct addr){.family = AF_INET});
	char text[MAC_STRLEN];

	if (memcmp(c->mac.bytes, derived.bytes, 2) != 0 ||
	    (c->ips.n && mac_equal(&c->mac, &derived)))
		return 0;
	return err_set(err, -EINVAL, "%s is requested: it belongs to address %u.%u.%u.%u",
		       mac_format(&c->mac, text), c->mac.bytes[2], c->mac.bytes[3], c->mac.bytes[4],
		       c->mac.bytes[5]);
}

enum cni_code request_complete(struct netconf *c, const struct cni_env *env, struct err *err)
{
	if (add_args(c, env, err) < 0)
		return CNI_BAD_ENV;
	if (check_ip(c, err) < 0 || check_mac(c, err) < 0)
		return CNI_BAD_CONFIG;
	return CNI_OK;
}

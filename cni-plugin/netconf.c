#include "netconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "lease.h"
#include "log.h"
#include "mem.h"
#include "request.h"

#define DEFAULT_NETNS	 "/run/netns/byway"
#define DEFAULT_INTRANET "10.0.0.0/8"
#define INTRANET_MAX	 256

/* The least an IPv4 host must take (RFC 791), and what the kernel takes at most. */
#define MTU_MIN 68
#define MTU_MAX 65535

const char *const cni_version_names[CNI_VERSIONS] = {
	[CNI_0_1_0] = "0.1.0", [CNI_0_2_0] = "0.2.0", [CNI_0_3_0] = "0.3.0", [CNI_0_3_1] = "0.3.1",
	[CNI_0_4_0] = "0.4.0", [CNI_1_0_0] = "1.0.0", [CNI_1_1_0] = "1.1.0",
};

const char *const cni_role_names[] = {
	[ROLE_CLIENT] = "client",
	[ROLE_ROUTER] = "router",
	[ROLE_GATEWAY] = "gateway",
	[ROLE_SYNC] = "sync",
	NULL,
};

bool cni_version_find(const char *name, enum cni_version *ret)
{
	for (size_t i = 0; i < CNI_VERSIONS; i++) {
		if (!strcmp(name, cni_version_names[i])) {
			*ret = (enum cni_version)i;
			return true;
		}
	}
	return false;
}

void netconf_clear(struct netconf *c)
{
	free(c->name);
	free(c->network);
	free(c->intranet.items);
	free(c->ips.items);
	free(c->netns);
	free(c->lease_dir);
	free(c->ipam_type);
	free(c->log_file);
	result_dns_clear(&c->dns);
	*c = (struct netconf){0};
}

enum cni_code netconf_parse(const char *bytes, size_t len, struct config_text *ret, struct err *err)
{
	json_error_t e;
	json_t *root;

	if (memchr(bytes, '\0', len)) {
		err_set(err, -EINVAL, "stdin:1: NUL byte in the configuration");
		return CNI_BAD_JSON;
	}
	/* Of a key said twice the last counts, as in every other plugin. */
	root = json_loads(bytes, 0, &e);
	if (!root) {
		err_set(err, -EINVAL, "stdin:%d: %s", e.line < 1 ? 1 : e.line, e.text);
		return CNI_BAD_JSON;
	}
	*ret = (struct config_text){xstrdup("stdin"), xstrdup(bytes), root};
	if (json_is_object(root))
		return CNI_OK;
	err_set(err, -EINVAL, "stdin:1: must be an object");
	return CNI_BAD_JSON;
}

/* --- cniVersion --- */

struct wanted_version {
	enum cni_version version;
	enum cni_code code;
};

/* Three numbers with dots between. */
static bool is_version(const char *s)
{
	for (int part = 0; part < 3; part++) {
		size_t digits = strspn(s, "0123456789");

		if (!digits || digits > 4 || s[digits] != (part < 2 ? '.' : '\0'))
			return false;
		s += digits + 1;
	}
	return true;
}

static int decode_version(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	struct wanted_version *wanted = out;
	const char *s = json_string_value(v->json);

	wanted->code = CNI_BAD_JSON;
	if (!s)
		return config_error(v, err, "must be a string");
	if (!*s || cni_version_find(s, &wanted->version)) {
		wanted->code = CNI_OK;
		return 0;
	}
	if (!is_version(s))
		return config_error(v, err, "\"%.40s\" is not a version", s);
	wanted->code = CNI_BAD_VERSION;
	return config_error(v, err, "config is \"%s\", plugin supports %s to %s", s,
			    cni_version_names[0], cni_version_names[CNI_VERSION_NEWEST]);
}

enum cni_code netconf_version(const struct config_text *text, enum cni_version *ret,
			      struct err *err)
{
	static const struct config_field fields[] = {
		{.key = "cniVersion", .decode = decode_version}};
	static const struct config_object object = {fields, array_len(fields), .lenient = true};
	struct wanted_version wanted = {.version = CNI_0_1_0};
	const struct config_value root = config_root(text);

	if (config_object(&root, &wanted, &object, err) < 0)
		return wanted.code;
	*ret = wanted.version;
	return CNI_OK;
}

/* --- the keys --- */

static int decode_name(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = json_string_value(v->json);

	if (s && *s &&
	    (strchr("_.-", *s) || s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
					      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789_.-")]))
		return config_error(v, err, "\"%.60s\" is not a network name", s);
	return config_string(v, out, arg, err);
}

static int decode_path(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = json_string_value(v->json);

	if (s && *s && *s != '/')
		return config_error(v, err, "\"%.100s\" is not an absolute path", s);
	return config_string(v, out, arg, err);
}

static int decode_addr4(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	struct addr a = {0};
	int r = config_addr(v, &a, arg, err);

	if (r < 0)
		return r;
	if (a.family != AF_INET)
		return config_error(v, err, "must be an IPv4 address");
	*(struct addr *)out = a;
	return 0;
}

static int decode_network(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	struct prefix p = {0}, network;
	char text[PREFIX_STRLEN];
	int r = config_prefix(v, &p, arg, err);

	if (r < 0)
		return r;
	network = prefix_network(&p);
	if (!prefix_equal(&p, &network))
		return config_error(v, err, "has host bits set: %s is meant?",
				    prefix_format(&network, text));
	*(struct prefix *)out = p;
	return 0;
}

static int decode_network4(const struct config_value *v, void *out, const void *arg,
			   struct err *err)
{
	struct prefix p = {0};
	int r = decode_network(v, &p, arg, err);

	if (r < 0)
		return r;
	if (p.addr.family != AF_INET)
		return config_error(v, err, "must be an IPv4 prefix");
	*(struct prefix *)out = p;
	return 0;
}

static int decode_mtu(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_bounds bounds = {MTU_MIN, MTU_MAX};

	if (json_is_integer(v->json) && json_integer_value(v->json) == 0)
		return 0; /* the bridge's, as without the key */
	return config_uint(v, out, &bounds, err);
}

/* A file of a directory in CNI_PATH. */
static int decode_ipam_type(const struct config_value *v, void *out, const void *arg,
			    struct err *err)
{
	const char *s = json_string_value(v->json);

	if (s && (strchr(s, '/') || !strcmp(s, ".") || !strcmp(s, "..")))
		return config_error(v, err, "\"%.60s\" is not the name of a plugin", s);
	return config_string(v, out, arg, err);
}

/* Without a type there is nothing that the other keys could be for. */
static int decode_ipam(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_field fields[] = {
		{.key = "type", .decode = decode_ipam_type, .required = true}};
	static const struct config_object object = {fields, array_len(fields), .lenient = true};

	if (json_is_object(v->json) && !json_object_size(v->json))
		return 0;
	return config_object(v, out, &object, err);
}

static int decode_previous(const struct config_value *v, void *out, const void *arg,
			   struct err *err)
{
	if (!json_is_object(v->json))
		return config_error(v, err, "must be an object");
	*(json_t **)out = v->json;
	return 0;
}

/* The words of this tree's programs and those of Multus. */
static int decode_log_level(const struct config_value *v, void *out, const void *arg,
			    struct err *err)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{"debug", LOG_LEVEL_DEBUG},  {"info", LOG_LEVEL_INFO}, {"verbose", LOG_LEVEL_INFO},
		{"warning", LOG_LEVEL_WARN}, {"warn", LOG_LEVEL_WARN}, {"error", LOG_LEVEL_ERROR},
		{"panic", LOG_LEVEL_ERROR},
	};
	const char *s = json_string_value(v->json);

	for (size_t i = 0; s && i < array_len(levels); i++) {
		if (!strcasecmp(s, levels[i].name)) {
			*(int *)out = levels[i].level;
			return 0;
		}
	}
	return config_error(v, err, "must be one of debug, info, warning, error");
}

static const unsigned int network_max = 12;

static const struct config_list intranet_list = {
	.decode = decode_network,
	.item_size = sizeof(struct prefix),
	.max = INTRANET_MAX,
};

#define FIELD(key_, decode_, member, ...)                                                   \
	{                                                                                   \
		.key = key_, .decode = decode_, .offset = offsetof(struct netconf, member), \
		__VA_ARGS__                                                                 \
	}

static const struct config_field fields[] = {
	FIELD("name", decode_name, name, .required = true),
	FIELD("role", config_enum, role, .arg = cni_role_names, .required = true),
	FIELD("network", config_label, network, .arg = &network_max),
	FIELD("subnet", decode_network4, subnet),
	FIELD("vip", decode_addr4, vip),
	FIELD("intranet", config_list, intranet, .arg = &intranet_list),
	FIELD("mtu", decode_mtu, mtu),
	FIELD("netns", decode_path, netns),
	FIELD("leaseDir", decode_path, lease_dir),
	FIELD("ipam", decode_ipam, ipam_type),
	FIELD("dns", result_dns_decode, dns),
	FIELD("logFile", decode_path, log_file),
	FIELD("logLevel", decode_log_level, log_level),
	FIELD("prevResult", decode_previous, prev_result),
	/* The stronger one last: it replaces what the other asks for. */
	{.key = "args", .decode = request_decode_args},
	{.key = "runtimeConfig", .decode = request_decode},
};

static const struct config_object object = {fields, array_len(fields), .lenient = true};

/* --- what must hold between them --- */

static bool is_label(const char *s)
{
	size_t n = strlen(s);

	return n <= network_max && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	       s[0] != '-' && s[n - 1] != '-';
}

static int check_network(const struct config_text *text, struct netconf *c, struct err *err)
{
	if (c->network)
		return 0;
	if (!is_label(c->name))
		return config_error_at(text, config_path("name"), err,
				       "cannot name the network (up to 12 of a-z, 0-9 and '-'): "
				       "set \"network\"");
	c->network = xstrdup(c->name);
	return 0;
}

bool netconf_is_host(const struct netconf *c, const struct addr *a)
{
	const struct addr_range r = prefix_range(&c->subnet);

	return prefix_contains(&c->subnet, a) && !addr_equal(a, &r.first) &&
	       !addr_equal(a, &r.last);
}

static int check_ipam(const struct config_text *text, const struct netconf *c, struct err *err)
{
	if (c->ipam_type && c->role == ROLE_GATEWAY)
		return config_error_at(text, config_path("ipam"), err,
				       "role gateway has no address of its own: leave ipam out");
	return 0;
}

static int check_addresses(const struct config_text *text, const struct netconf *c, struct err *err)
{
	bool subnet = c->subnet.addr.family != AF_UNSPEC, vip = c->vip.family != AF_UNSPEC;

	if (!subnet && c->role != ROLE_GATEWAY)
		return config_error_at(text, config_path("subnet"), err,
				       "key \"subnet\" is missing");
	if (subnet && (c->subnet.len < 8 || c->subnet.len > 30))
		return config_error_at(text, config_path("subnet"), err,
				       "the prefix length is not within 8 to 30");
	if (!vip && c->role == ROLE_CLIENT)
		return config_error_at(text, config_path("vip"), err, "key \"vip\" is missing");
	if (vip && subnet && !netconf_is_host(c, &c->vip))
		return config_error_at(text, config_path("vip"), err,
				       "the VIP is not an address for a host in \"subnet\"");
	return 0;
}

/* What a client must not reach by its primary network, unless the intranet says so: all of IPv4, and
 * the global space of IPv6. */
static const char *const closed[] = {"0.0.0.0/0", "2000::/3"};

static int check_intranet(const struct config_text *text, const struct netconf *c, struct err *err)
{
	const struct prefix *intranet = c->intranet.items;

	for (size_t i = 0; c->role == ROLE_CLIENT && i < c->intranet.n; i++) {
		if (intranet[i].len >= c->subnet.len &&
		    prefix_contains(&c->subnet, &intranet[i].addr))
			return config_error_at(text, config_path("intranet"), err,
					       "a prefix of the intranet is a part of \"subnet\"");
	}
	for (size_t i = 0; i < array_len(closed); i++) {
		auto_free struct prefix *rest = NULL;
		struct prefix within;

		if (prefix_parse(closed[i], &within) < 0)
			abort();
		if (!prefix_complement(&within, intranet, c->intranet.n, &rest))
			return config_error_at(
				text, config_path("intranet"), err,
				"covers every address of a family: nothing is left for the "
				"tunnels");
	}
	return 0;
}

/* The old results must hold an address (libcni refuses to convert one without). */
static int check_version(const struct config_text *text, const struct netconf *c, struct err *err)
{
	if (c->role == ROLE_GATEWAY && c->version <= CNI_0_2_0 && !c->prev_result)
		return config_error_at(
			text, config_path("cniVersion"), err,
			"role gateway has no address to report: cniVersion must be 0.3.0 or newer");
	return 0;
}

static void set_defaults(struct netconf *c)
{
	*c = (struct netconf){
		.netns = xstrdup(DEFAULT_NETNS),
		.lease_dir = xstrdup(LEASE_DIR),
		.log_level = LOG_LEVEL_INFO,
	};
}

static void default_intranet(struct netconf *c)
{
	c->intranet.items = xcalloc(1, sizeof(struct prefix));
	c->intranet.n = 1;
	if (prefix_parse(DEFAULT_INTRANET, c->intranet.items) < 0)
		abort();
}

enum cni_code netconf_load(const struct config_text *text, struct netconf *ret, struct err *err)
{
	const struct config_value root = config_root(text);
	enum cni_code code;

	set_defaults(ret);
	code = netconf_version(text, &ret->version, err);
	if (code)
		return code;
	if (config_object(&root, ret, &object, err) < 0)
		return CNI_BAD_CONFIG;
	if (!ret->intranet.items)
		default_intranet(ret);
	if (check_network(text, ret, err) < 0 || check_ipam(text, ret, err) < 0 ||
	    check_addresses(text, ret, err) < 0 || check_intranet(text, ret, err) < 0 ||
	    check_version(text, ret, err) < 0)
		return CNI_BAD_CONFIG;
	return CNI_OK;
}

static bool is_needed_by_del(const char *key)
{
	static const char *const keys[] = {"name", "network", "netns",	 "leaseDir",
					   "ipam", "logFile", "logLevel"};

	for (size_t i = 0; i < array_len(keys); i++) {
		if (!strcmp(keys[i], key))
			return true;
	}
	return false;
}

void netconf_load_names(const struct config_text *text, struct netconf *ret)
{
	const struct config_value root = config_root(text);

	set_defaults(ret);
	/* One by one: a key that is not usable spoils no other. */
	for (size_t i = 0; i < array_len(fields); i++) {
		struct config_field field = fields[i];
		const struct config_object one = {&field, 1, .lenient = true};
		struct err ignored = {0};

		field.required = false;
		if (is_needed_by_del(field.key))
			config_object(&root, ret, &one, &ignored);
	}
	if (!ret->network && ret->name)
		ret->network = xstrdup(ret->name);
}

/* Theory of operation
 *
 * A kind is a table of fields, and a field a type with flags. What differs between types (how a
 * value looks, when it is "none", when two are equal, how it is read from JSON) is in one row of
 *`types` each; what the functions below do with the fields follows from the flags alone:
 *
 *	ID	two objects with the same values here are the same object, seen twice
 *	EXACT	"none" in the wanted object means none, not "whatever the kernel likes"
 *	FIXED	the kernel cannot change it: the object is deleted and created again
 *	BARE	printed without its key
 *	ALWAYS	printed also when it is zero
 *	ZERO	an ID that may be zero; any other must be given
 */
#include "object.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

enum field_flag { ID = 1, EXACT = 2, FIXED = 4, BARE = 8, ALWAYS = 16, ZERO = 32 };

enum field_type {
	TYPE_TEXT, /* char[]; the size is the field's */
	TYPE_UINT,
	TYPE_BOOL,
	TYPE_ADDR,
	TYPE_PREFIX,
	TYPE_SELECTOR, /* a prefix in a rule: 0.0.0.0/0 is the same as none */
	TYPE_MAC,
	TYPE_ENUM,
};

struct field {
	const char *key;
	enum field_type type;
	unsigned int flags;
	size_t offset;		  /* in struct object */
	size_t size;		  /* TYPE_TEXT: of the array */
	const char *const *names; /* TYPE_ENUM, NULL-terminated */
};

struct kind {
	const char *name;
	const struct field *fields;
	size_t n_fields;
};

/* --- the kinds --- */

#define FIELD(key_, type_, flags_, member_)                        \
	{                                                          \
		.key = (key_), .type = (type_), .flags = (flags_), \
		.offset = offsetof(struct object, member_),        \
		.size = sizeof(((struct object *)0)->member_)      \
	}
#define FIELD_NAMED(key_, names_, flags_, member_)                            \
	{                                                                     \
		.key = (key_), .type = TYPE_ENUM, .flags = (flags_),          \
		.offset = offsetof(struct object, member_), .names = (names_) \
	}

static const char *const link_kind_names[] = {"any",	 "bridge",    "vxlan",
					      "macvlan", "wireguard", NULL};
static const char *const route_type_names[] = {"unicast", "local", "unreachable", "throw", NULL};

static const struct field link_fields[] = {
	FIELD("name", TYPE_TEXT, ID | BARE, link.name),
	FIELD_NAMED("kind", link_kind_names, FIXED, link.kind),
	FIELD("mac", TYPE_MAC, 0, link.mac),
	FIELD("mtu", TYPE_UINT, 0, link.mtu),
	FIELD("up", TYPE_BOOL, EXACT, link.up),
	FIELD("master", TYPE_TEXT, 0, link.master),
	FIELD("parent", TYPE_TEXT, FIXED, link.parent),
	FIELD("vni", TYPE_UINT, FIXED, link.vni),
	FIELD("port", TYPE_UINT, FIXED, link.port),
	FIELD("local", TYPE_ADDR, FIXED, link.local),
	FIELD("alias", TYPE_TEXT, 0, link.alias),
};

static const struct field address_fields[] = {
	FIELD("prefix", TYPE_PREFIX, ID | BARE, address.prefix),
	FIELD("dev", TYPE_TEXT, ID, address.dev),
};

static const struct field route_fields[] = {
	FIELD("table", TYPE_UINT, ID, route.table),
	FIELD("dst", TYPE_PREFIX, ID | ALWAYS, route.dst),
	FIELD("metric", TYPE_UINT, ID | ZERO, route.metric),
	FIELD_NAMED("type", route_type_names, EXACT, route.type),
	FIELD("via", TYPE_ADDR, EXACT, route.via),
	FIELD("dev", TYPE_TEXT, EXACT, route.dev),
	FIELD("src", TYPE_ADDR, 0, route.src),
	FIELD("onlink", TYPE_BOOL, EXACT, route.onlink),
};

static const struct field rule_fields[] = {
	FIELD("pref", TYPE_UINT, ID, rule.pref),
	FIELD("iif", TYPE_TEXT, EXACT | FIXED, rule.iif),
	FIELD("oif", TYPE_TEXT, EXACT | FIXED, rule.oif),
	FIELD("from", TYPE_SELECTOR, EXACT | FIXED, rule.from),
	FIELD("to", TYPE_SELECTOR, EXACT | FIXED, rule.to),
	FIELD("fwmark", TYPE_UINT, EXACT | FIXED, rule.fwmark),
	FIELD("table", TYPE_UINT, EXACT | FIXED, rule.table),
};

static const struct field fdb_fields[] = {
	FIELD("mac", TYPE_MAC, ID | BARE | ALWAYS | ZERO, fdb.mac),
	FIELD("dst", TYPE_ADDR, ID, fdb.dst),
	FIELD("dev", TYPE_TEXT, ID, fdb.dev),
};

static const char *const ipvs_protocol_names[] = {"tcp", "udp", NULL};

static const struct field service_fields[] = {
	FIELD_NAMED("protocol", ipvs_protocol_names, ID | BARE | ALWAYS, service.at.protocol),
	FIELD("addr", TYPE_ADDR, ID | BARE, service.at.addr),
	FIELD("port", TYPE_UINT, ID, service.at.port),
	FIELD("scheduler", TYPE_TEXT, EXACT, service.scheduler),
	FIELD("flags", TYPE_UINT, EXACT, service.flags),
};

static const struct field destination_fields[] = {
	FIELD_NAMED("protocol", ipvs_protocol_names, ID | BARE | ALWAYS, destination.at.protocol),
	FIELD("addr", TYPE_ADDR, ID | BARE, destination.at.addr),
	FIELD("port", TYPE_UINT, ID, destination.at.port),
	FIELD("to", TYPE_ADDR, ID, destination.addr),
	FIELD("to-port", TYPE_UINT, ID, destination.port),
	FIELD("weight", TYPE_UINT, EXACT | ALWAYS, destination.weight),
	FIELD("forwarding", TYPE_UINT, EXACT, destination.forwarding),
};

static const struct kind kinds[] = {
	[OBJECT_LINK] = {"link", link_fields, array_len(link_fields)},
	[OBJECT_ADDRESS] = {"address", address_fields, array_len(address_fields)},
	[OBJECT_ROUTE] = {"route", route_fields, array_len(route_fields)},
	[OBJECT_RULE] = {"rule", rule_fields, array_len(rule_fields)},
	[OBJECT_FDB] = {"fdb", fdb_fields, array_len(fdb_fields)},
	[OBJECT_IPVS_SERVICE] = {"ipvs-service", service_fields, array_len(service_fields)},
	[OBJECT_IPVS_DESTINATION] = {"ipvs-destination", destination_fields,
				     array_len(destination_fields)},
};
static_assert(array_len(kinds) == OBJECT_IPVS_DESTINATION + 1, "every kind has its table");

#define MAX_FIELDS 16
static_assert(array_len(link_fields) <= MAX_FIELDS, "link_fields is the longest table");

/* --- the types --- */

static bool text_none(const void *v)
{
	return !*(const char *)v;
}

static bool uint_none(const void *v)
{
	return !*(const unsigned int *)v;
}

static bool bool_none(const void *v)
{
	return !*(const bool *)v;
}

static bool addr_none(const void *v)
{
	return ((const struct addr *)v)->family == AF_UNSPEC;
}

static bool prefix_none(const void *v)
{
	return addr_none(&((const struct prefix *)v)->addr);
}

static bool selector_none(const void *v)
{
	const struct prefix *p = v;

	return prefix_none(p) || (p->addr.family == AF_INET && p->len == 0);
}

static bool mac_none(const void *v)
{
	return mac_equal(v, &(struct mac){0});
}

static bool text_equal(const void *a, const void *b)
{
	return !strcmp(a, b);
}

static bool uint_equal(const void *a, const void *b)
{
	return *(const unsigned int *)a == *(const unsigned int *)b;
}

static bool bool_equal(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

static bool type_addr_equal(const void *a, const void *b)
{
	return addr_equal(a, b);
}

static bool type_prefix_equal(const void *a, const void *b)
{
	return prefix_equal(a, b);
}

static bool selector_equal(const void *a, const void *b)
{
	return (selector_none(a) && selector_none(b)) || prefix_equal(a, b);
}

static bool type_mac_equal(const void *a, const void *b)
{
	return mac_equal(a, b);
}

/* --- hashing: FNV-1a over the bytes that count for equality --- */

#define HASH_START 2166136261U

static uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t n)
{
	for (const uint8_t *p = bytes; n--; p++)
		hash = (hash ^ *p) * 16777619U;
	return hash;
}

static uint32_t text_hash(uint32_t hash, const void *v)
{
	return hash_bytes(hash, v, strlen(v));
}

static uint32_t uint_hash(uint32_t hash, const void *v)
{
	return hash_bytes(hash, v, sizeof(unsigned int));
}

static uint32_t bool_hash(uint32_t hash, const void *v)
{
	return hash_bytes(hash, v, sizeof(bool));
}

static uint32_t addr_hash(uint32_t hash, const void *v)
{
	return hash_bytes(hash, ((const struct addr *)v)->bytes, addr_size(v));
}

static uint32_t prefix_hash(uint32_t hash, const void *v)
{
	const struct prefix *p = v;

	return hash_bytes(addr_hash(hash, &p->addr), &p->len, sizeof(p->len));
}

/* No selector is part of an identity. */
static uint32_t selector_hash(uint32_t hash, const void *v)
{
	(void)v;
	return hash;
}

static uint32_t mac_hash(uint32_t hash, const void *v)
{
	return hash_bytes(hash, v, sizeof(struct mac));
}

/* --- values to and from text --- */

static void text_print(const struct field *field, const void *v, struct strbuf *b)
{
	(void)field;
	if (strpbrk(v, " \t"))
		strbuf_add(b, "\"%s\"", (const char *)v);
	else
		strbuf_add(b, "%s", (const char *)v);
}

static void uint_print(const struct field *field, const void *v, struct strbuf *b)
{
	(void)field;
	strbuf_add(b, "%u", *(const unsigned int *)v);
}

/* A flag that is set is shown by its key alone. */
static void bool_print(const struct field *field, const void *v, struct strbuf *b)
{
	(void)v;
	strbuf_add(b, "%s", field->key);
}

static void addr_print(const struct field *field, const void *v, struct strbuf *b)
{
	char buf[ADDR_STRLEN];

	(void)field;
	strbuf_add(b, "%s", addr_format(v, buf));
}

static void prefix_print(const struct field *field, const void *v, struct strbuf *b)
{
	char buf[PREFIX_STRLEN];

	(void)field;
	strbuf_add(b, "%s", prefix_format(v, buf));
}

static void mac_print(const struct field *field, const void *v, struct strbuf *b)
{
	char buf[MAC_STRLEN];

	(void)field;
	strbuf_add(b, "%s", mac_format(v, buf));
}

static void enum_print(const struct field *field, const void *v, struct strbuf *b)
{
	strbuf_add(b, "%s", field->names[*(const unsigned int *)v]);
}

/* Decoder of a char[]; `arg` is the field. */
static int text_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const struct field *field = arg;
	auto_free char *s = NULL;
	int r = config_string(v, &s, NULL, err);

	if (r < 0)
		return r;
	if (strlen(s) >= field->size)
		return config_error(v, err, "longer than %zu characters", field->size - 1);
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int uint_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_bounds any = {0, UINT32_MAX};

	(void)arg;
	return config_uint(v, out, &any, err);
}

static int enum_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	return config_enum(v, out, ((const struct field *)arg)->names, err);
}

static const struct {
	bool (*none)(const void *v);
	bool (*equal)(const void *a, const void *b);
	uint32_t (*hash)(uint32_t hash, const void *v);
	void (*print)(const struct field *field, const void *v, struct strbuf *b);
	config_decode_fn *decode; /* its `arg` is the field */
} types[] = {
	[TYPE_TEXT] = {text_none, text_equal, text_hash, text_print, text_decode},
	[TYPE_UINT] = {uint_none, uint_equal, uint_hash, uint_print, uint_decode},
	[TYPE_BOOL] = {bool_none, bool_equal, bool_hash, bool_print, config_bool},
	[TYPE_ADDR] = {addr_none, type_addr_equal, addr_hash, addr_print, config_addr},
	[TYPE_PREFIX] = {prefix_none, type_prefix_equal, prefix_hash, prefix_print, config_prefix},
	[TYPE_SELECTOR] = {selector_none, selector_equal, selector_hash, prefix_print,
			   config_prefix},
	[TYPE_MAC] = {mac_none, type_mac_equal, mac_hash, mac_print, config_mac},
	[TYPE_ENUM] = {uint_none, uint_equal, uint_hash, enum_print, enum_decode},
};
static_assert(sizeof(enum link_kind) == sizeof(unsigned int) &&
		      sizeof(enum route_type) == sizeof(unsigned int) &&
		      sizeof(enum ipvs_protocol) == sizeof(unsigned int),
	      "an enumeration is read as an unsigned int");

static const void *field_value(const struct field *field, const struct object *object)
{
	return (const char *)object + field->offset;
}

static bool field_equal(const struct field *field, const struct object *a, const struct object *b)
{
	return types[field->type].equal(field_value(field, a), field_value(field, b));
}

static bool field_none(const struct field *field, const struct object *object)
{
	return types[field->type].none(field_value(field, object));
}

/* --- identity and equality --- */

sa_family_t rule_family(const struct rule_object *rule)
{
	return rule->from.addr.family == AF_INET6 || rule->to.addr.family == AF_INET6 ? AF_INET6
										      : AF_INET;
}

const char *object_dev(const struct object *object)
{
	switch (object->kind) {
	case OBJECT_ADDRESS:
		return object->address.dev;
	case OBJECT_ROUTE:
		return object->route.dev;
	case OBJECT_FDB:
		return object->fdb.dev;
	case OBJECT_LINK:
	case OBJECT_RULE:
	case OBJECT_IPVS_SERVICE:
	case OBJECT_IPVS_DESTINATION:
		break;
	}
	return "";
}

bool object_same(const struct object *a, const struct object *b)
{
	const struct kind *kind = &kinds[a->kind];

	if (a->kind != b->kind)
		return false;
	if (a->kind == OBJECT_RULE && rule_family(&a->rule) != rule_family(&b->rule))
		return false;
	for (size_t i = 0; i < kind->n_fields; i++) {
		const struct field *field = &kind->fields[i];

		if ((field->flags & ID) && !field_equal(field, a, b))
			return false;
	}
	return true;
}

static bool field_satisfied(const struct field *field, const struct object *actual,
			    const struct object *wanted)
{
	bool exact = field->flags & (EXACT | ID);

	if (wanted->kind == OBJECT_LINK && wanted->link.kind == LINK_ANY)
		exact = field->flags & ID;
	return (!exact && field_none(field, wanted)) || field_equal(field, actual, wanted);
}

/* Are the fields that have one of `flags` (all, where 0) as wanted? */
static bool fields_satisfied(const struct object *actual, const struct object *wanted,
			     unsigned int flags)
{
	const struct kind *kind = &kinds[wanted->kind];

	if (actual->kind != wanted->kind)
		return false;
	for (size_t i = 0; i < kind->n_fields; i++) {
		const struct field *field = &kind->fields[i];

		if ((!flags || (field->flags & flags)) && !field_satisfied(field, actual, wanted))
			return false;
	}
	return true;
}

bool object_satisfies(const struct object *actual, const struct object *wanted)
{
	return fields_satisfied(actual, wanted, 0);
}

bool object_updatable(const struct object *actual, const struct object *wanted)
{
	return fields_satisfied(actual, wanted, FIXED | ID);
}

/* --- text --- */

void object_print(const struct object *object, struct strbuf *b)
{
	const struct kind *kind = &kinds[object->kind];

	strbuf_add(b, "%s", kind->name);
	for (size_t i = 0; i < kind->n_fields; i++) {
		const struct field *field = &kind->fields[i];

		if (!(field->flags & ALWAYS) && field_none(field, object))
			continue;
		strbuf_add(b, " ");
		if (!(field->flags & BARE) && field->type != TYPE_BOOL)
			strbuf_add(b, "%s ", field->key);
		types[field->type].print(field, field_value(field, object), b);
	}
}

static int decode_kind(const struct config_value *v, enum object_kind *ret, struct err *err)
{
	const char *name = json_string_value(json_object_get(v->json, "object"));

	for (size_t i = 0; name && i < array_len(kinds); i++) {
		if (!strcmp(kinds[i].name, name)) {
			*ret = (enum object_kind)i;
			return 0;
		}
	}
	return config_error(v, err, "key \"object\" names no kind of object");
}

int object_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	struct config_field fields[MAX_FIELDS + 2] = {
		{.key = "object", .decode = config_ignore},
		{.key = "ours", .decode = config_bool, .offset = offsetof(struct object, ours)},
	};
	struct config_object table = {fields, 2};
	struct object *object = out;
	int r = decode_kind(v, &object->kind, err);

	(void)arg;
	if (r < 0)
		return r;
	object->ours = true;
	for (size_t i = 0; i < kinds[object->kind].n_fields; i++) {
		const struct field *field = &kinds[object->kind].fields[i];

		fields[table.n_fields++] = (struct config_field){
			.key = field->key,
			.decode = types[field->type].decode,
			.offset = field->offset,
			.arg = field,
			.required = (field->flags & (ID | ZERO)) == ID,
		};
	}
	return config_object(v, object, &table, err);
}

int object_list_decode(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct config_list items = {
		.decode = object_decode, .item_size = sizeof(struct object), .max = 100000};
	struct config_array array = {0};
	struct object_list *list = out;
	int r = config_list(v, &array, &items, err);

	(void)arg;
	for (size_t i = 0; r == 0 && i < array.n; i++)
		object_list_append(list, &((const struct object *)array.items)[i]);
	free(array.items);
	return r;
}

/* --- lists --- */

void object_list_free(struct object_list *list)
{
	free(list->items);
	*list = (struct object_list){0};
}

struct object *object_list_add(struct object_list *list, enum object_kind kind)
{
	object_list_append(list, &(struct object){.kind = kind});
	return &list->items[list->n - 1];
}

void object_list_append(struct object_list *list, const struct object *object)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 16;
		list->items = xreallocarray(list->items, list->cap, sizeof(*list->items));
	}
	list->items[list->n++] = *object;
}

const struct object *object_list_find(const struct object_list *list, const struct object *like)
{
	for (size_t i = 0; i < list->n; i++) {
		if (object_same(&list->items[i], like))
			return &list->items[i];
	}
	return NULL;
}

/* --- finding --- */

static uint32_t object_hash(const struct object *object)
{
	const struct kind *kind = &kinds[object->kind];
	uint32_t hash = hash_bytes(HASH_START, &object->kind, sizeof(object->kind));

	for (size_t i = 0; i < kind->n_fields; i++) {
		const struct field *field = &kind->fields[i];

		if (field->flags & ID)
			hash = types[field->type].hash(hash, field_value(field, object));
	}
	return hash;
}

/* Chains are in the order of the list: it is entered from its end. */
void object_index_build(struct object_index *index, const struct object_list *list)
{
	*index = (struct object_index){.list = list, .n_heads = list->n + list->n / 2 + 1};
	index->heads = xcalloc(index->n_heads, sizeof(*index->heads));
	index->next = xcalloc(list->n + 1, sizeof(*index->next));
	for (size_t i = list->n; i-- > 0;) {
		size_t *head = &index->heads[object_hash(&list->items[i]) % index->n_heads];

		index->next[i] = *head;
		*head = i + 1;
	}
}

void object_index_free(struct object_index *index)
{
	free(index->heads);
	free(index->next);
	*index = (struct object_index){0};
}

const struct object *object_index_find(const struct object_index *index, const struct object *like,
				       const struct object *after)
{
	size_t at = after ? index->next[after - index->list->items]
			  : index->heads[object_hash(like) % index->n_heads];

	for (; at; at = index->next[at - 1]) {
		if (object_same(&index->list->items[at - 1], like))
			return &index->list->items[at - 1];
	}
	return NULL;
}

/* Theory of operation
 *
 * jansson decodes values but keeps no positions, and positions are needed only when something is
 * wrong. So a decoder carries its path on the stack (a chain of config_value), and an error looks
 * for that path once more in the text with a scanner that knows just enough JSON to skip a value.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "addr.h"
#include "cleanup.h"
#include "mem.h"
#include "strbuf.h"

void config_text_free(struct config_text *t)
{
	free(t->name);
	free(t->text);
	json_decref(t->root);
	*t = (struct config_text){0};
}

int config_text_parse(const char *name, const char *text, struct config_text *ret, struct err *err)
{
	json_error_t e;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &e);

	if (!root)
		return err_set(err, -EINVAL, "%s:%d: %s", name, e.line < 1 ? 1 : e.line, e.text);
	*ret = (struct config_text){xstrdup(name), xstrdup(text), root};
	return 0;
}

int config_text_load(const char *file, struct config_text *ret, struct err *err)
{
	auto_file FILE *f = fopen(file, "re");
	auto_free char *text = NULL;
	struct stat st;
	size_t n;

	if (!f)
		return err_errno(err, -errno, "%s", file);
	if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: not a regular file", file);
	if (st.st_size > CONFIG_FILE_MAX)
		return err_set(err, -EFBIG, "%s: larger than %u bytes", file, CONFIG_FILE_MAX);
	text = xcalloc((size_t)st.st_size + 1, 1);
	n = fread(text, 1, (size_t)st.st_size, f);
	if (ferror(f))
		return err_errno(err, -EIO, "%s", file);
	if (memchr(text, '\0', n))
		return err_set(err, -EINVAL, "%s:1: NUL byte in the file", file);
	return config_text_parse(file, text, ret, err);
}

struct config_value config_root(const struct config_text *t)
{
	return (struct config_value){.text = t, .json = t->root};
}

/* --- where a path stands in the text --- */

static const char *skip_blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

/* Behind the value at `p`; the text has been parsed, so brackets are balanced. */
static const char *skip_value(const char *p)
{
	size_t depth = 0;

	do {
		p = skip_blank(p);
		if (*p == '"') {
			p = skip_string(p);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else {
			p += strcspn(p, ",:{}[] \t\r\n");
		}
	} while (depth && *p);
	return p;
}

/* Is the string from `p` to `end`, with its quotes, `key` without an escape? */
static bool spells(const char *p, const char *end, const char *key)
{
	size_t n = strlen(key);

	return (size_t)(end - p) == n + 2 && !memcmp(p + 1, key, n) && !strchr(key, '\\');
}

/* The member or element that `v` names within the container at `p`. NULL for a key that is spelt
 * with escapes: no use to go on from there. */
static const char *find_child(const char *p, const struct config_value *v)
{
	p = skip_blank(p + 1);
	for (size_t i = 0; *p && *p != '}' && *p != ']'; i++) {
		const char *start = p;

		if (v->key) {
			const char *end = skip_string(p);

			if (spells(p, end, v->key))
				return start;
			p = skip_blank(end) + 1;
		} else if (i == v->index) {
			return start;
		}
		p = skip_blank(skip_value(p));
		if (*p == ',')
			p = skip_blank(p + 1);
	}
	return NULL;
}

/* Moves `at` to where `v` stands; false where that is not found: `at` is the nearest container. */
static bool locate(const struct config_value *v, const char **at)
{
	const char *child;

	if (!v->parent) {
		*at = skip_blank(v->text->text);
		return true;
	}
	if (!locate(v->parent, at))
		return false;
	if (v->parent->key)
		*at = skip_blank(skip_blank(skip_string(*at)) + 1);
	child = find_child(*at, v);
	if (child)
		*at = child;
	return child;
}

static unsigned int line_of(const struct config_value *v)
{
	unsigned int line = 1;
	const char *at;

	locate(v, &at);
	for (const char *p = v->text->text; p < at; p++)
		line += *p == '\n';
	return line;
}

static void path_of(const struct config_value *v, struct strbuf *b)
{
	if (!v->parent)
		return;
	path_of(v->parent, b);
	if (v->key)
		strbuf_add(b, "%s%s", b->len ? "." : "", v->key);
	else
		strbuf_add(b, "[%zu]", v->index);
}

int config_error(const struct config_value *v, struct err *err, const char *fmt, ...)
{
	auto_strbuf struct strbuf path = {0};
	char why[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	path_of(v, &path);
	return err_set(err, -EINVAL, "%s:%u: %s%s%s", v->text->name, line_of(v), strbuf_text(&path),
		       path.len ? ": " : "", why);
}

/* --- the value at a path --- */

struct config_path config_path(const char *fmt, ...)
{
	struct config_path path;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path.text, sizeof(path.text), fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof(path.text));
	return path;
}

/* The value that `step` ("key", or "7]" for an index) names within `at`; its `json` is NULL where
 * there is none. */
static struct config_value child_at(const struct config_value *at, const char *step)
{
	struct config_value child = {.text = at->text, .parent = at};

	if (strchr(step, ']')) {
		child.index = strtoul(step, NULL, 10);
		child.json = json_array_get(at->json, child.index);
	} else {
		child.key = step;
		child.json = json_object_get(at->json, step);
	}
	return child;
}

int config_error_at(const struct config_text *t, struct config_path path, struct err *err,
		    const char *fmt, ...)
{
	struct config_value steps[1 + CONFIG_PATH_STEPS] = {config_root(t)};
	const struct config_value *at = steps;
	char why[sizeof(err->text)];
	char *rest = path.text, *step;
	va_list ap;

	for (size_t i = 1; (step = strsep(&rest, ".[")); i++) {
		assert(i < array_len(steps));
		steps[i] = child_at(at, step);
		if (!steps[i].json)
			break;
		at = &steps[i];
	}
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return config_error(at, err, "%s", why);
}

/* --- decoders --- */

/* The text of a non-empty string; NULL and `err` where it is none. */
static const char *want_string(const struct config_value *v, struct err *err)
{
	if (!json_is_string(v->json))
		config_error(v, err, "must be a string");
	else if (!json_string_length(v->json))
		config_error(v, err, "must not be empty");
	else if (strlen(json_string_value(v->json)) != json_string_length(v->json))
		config_error(v, err, "NUL character in a string");
	else
		return json_string_value(v->json);
	return NULL;
}

int config_ignore(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	(void)v, (void)out, (void)arg, (void)err;
	return 0;
}

int config_string(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	char **s = out;
	const char *text = want_string(v, err);

	(void)arg;
	if (!text)
		return -EINVAL;
	free(*s);
	*s = xstrdup(text);
	return 0;
}

int config_bool(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	(void)arg;
	if (!json_is_boolean(v->json))
		return config_error(v, err, "must be true or false");
	*(bool *)out = json_is_true(v->json);
	return 0;
}

int config_addr(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = want_string(v, err);

	(void)arg;
	if (!s)
		return -EINVAL;
	if (addr_parse(s, out) < 0)
		return config_error(v, err, "\"%.60s\" is not an address", s);
	return 0;
}

int config_prefix(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = want_string(v, err);

	(void)arg;
	if (!s)
		return -EINVAL;
	if (prefix_parse(s, out) < 0)
		return config_error(v, err, "\"%.60s\" is not a prefix (ADDRESS/LENGTH)", s);
	return 0;
}

int config_range(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = want_string(v, err);

	(void)arg;
	if (!s)
		return -EINVAL;
	if (addr_range_parse(s, out) < 0)
		return config_error(v, err, "\"%.100s\" is not a range (FIRST-LAST)", s);
	return 0;
}

int config_mac(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = want_string(v, err);

	(void)arg;
	if (!s)
		return -EINVAL;
	if (mac_parse(s, out) < 0)
		return config_error(v, err, "\"%.60s\" is not a hardware address", s);
	return 0;
}

int config_uint(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const struct config_bounds *bounds = arg;
	json_int_t n;

	if (!json_is_integer(v->json))
		return config_error(v, err, "must be a whole number");
	n = json_integer_value(v->json);
	if (n < (json_int_t)bounds->min || n > (json_int_t)bounds->max)
		return config_error(v, err, "%" JSON_INTEGER_FORMAT " is not within %u to %u", n,
				    bounds->min, bounds->max);
	*(unsigned int *)out = (unsigned int)n;
	return 0;
}

int config_duration(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	static const struct {
		const char *suffix;
		unsigned int ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
	const struct config_bounds *bounds = arg;
	const char *s = want_string(v, err);
	unsigned long long n;
	char *end;

	if (!s)
		return -EINVAL;
	n = s[0] >= '0' && s[0] <= '9' ? strtoull(s, &end, 10) : 0;
	for (size_t i = 0; s[0] >= '0' && s[0] <= '9' && i < array_len(units); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (n > UINT32_MAX || n * units[i].ms < bounds->min ||
		    n * units[i].ms > bounds->max)
			return config_error(v, err, "\"%.30s\" is not within %ums to %ums", s,
					    bounds->min, bounds->max);
		*(unsigned int *)out = (unsigned int)n * units[i].ms;
		return 0;
	}
	return config_error(v, err, "\"%.60s\" is not a duration such as \"500ms\" or \"2s\"", s);
}

int config_ifname(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *s = want_string(v, err);

	(void)arg;
	if (!s)
		return -EINVAL;
	if (strlen(s) >= IFNAMSIZ || strpbrk(s, "/: \t\n\r\v\f") || !strcmp(s, ".") ||
	    !strcmp(s, ".."))
		return config_error(v, err, "\"%.60s\" is not an interface name", s);
	snprintf(out, IFNAMSIZ, "%s", s);
	return 0;
}

int config_label(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	unsigned int max = *(const unsigned int *)arg;
	const char *s = want_string(v, err);
	size_t n;

	if (!s)
		return -EINVAL;
	n = strlen(s);
	if (n > max || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != n || s[0] == '-' ||
	    s[n - 1] == '-')
		return config_error(
			v, err, "\"%.60s\" is not a name of up to %u of a-z, 0-9 and '-'", s, max);
	return config_string(v, out, NULL, err);
}

int config_enum(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const char *const *names = arg;
	auto_strbuf struct strbuf known = {0};
	const char *s = want_string(v, err);

	if (!s)
		return -EINVAL;
	for (int i = 0; names[i]; i++) {
		if (!strcmp(names[i], s)) {
			*(int *)out = i;
			return 0;
		}
		strbuf_add(&known, "%s%s", i ? ", " : "", names[i]);
	}
	return config_error(v, err, "\"%.60s\" is none of %s", s, strbuf_text(&known));
}

/* The member that a field of a lenient object means, as it is spelt there; NULL where there is
 * none. */
static json_t *find_lenient(json_t *object, const char *wanted, const char **ret_key)
{
	json_t *found = json_object_get(object, wanted), *json;
	const char *key;

	*ret_key = wanted;
	if (found)
		return json_is_null(found) ? NULL : found;
	json_object_foreach (object, key, json) {
		if (strcasecmp(key, wanted) != 0 || json_is_null(json))
			continue;
		*ret_key = key;
		found = json;
	}
	return found;
}

static int config_object_lenient(const struct config_value *v, void *out,
				 const struct config_object *object, struct err *err)
{
	for (size_t i = 0; i < object->n_fields; i++) {
		const struct config_field *field = &object->fields[i];
		struct config_value child = {.text = v->text, .parent = v};
		int r;

		child.json = find_lenient(v->json, field->key, &child.key);
		if (!child.json && field->required)
			return config_error(v, err, "key \"%s\" is missing", field->key);
		if (!child.json)
			continue;
		r = field->decode(&child, (char *)out + field->offset, field->arg, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int config_object(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const struct config_object *object = arg;
	const char *key;
	json_t *json;

	if (!json_is_object(v->json))
		return config_error(v, err, "must be an object");
	if (object->lenient)
		return config_object_lenient(v, out, object, err);
	json_object_foreach (v->json, key, json) {
		struct config_value child = {v->text, v, key, 0, json};
		const struct config_field *field = NULL;
		int r;

		for (size_t i = 0; i < object->n_fields && !field; i++) {
			if (!strcmp(object->fields[i].key, key))
				field = &object->fields[i];
		}
		if (!field)
			return config_error(&child, err, "unknown key");
		r = field->decode(&child, (char *)out + field->offset, field->arg, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < object->n_fields; i++) {
		const struct config_field *field = &object->fields[i];

		if (field->required && !json_object_get(v->json, field->key))
			return config_error(v, err, "key \"%s\" is missing", field->key);
	}
	return 0;
}

int config_list(const struct config_value *v, void *out, const void *arg, struct err *err)
{
	const struct config_list *list = arg;
	struct config_array *array = out;
	size_t n = json_array_size(v->json);

	if (!json_is_array(v->json))
		return config_error(v, err, "must be a list");
	if (n > list->max)
		return config_error(v, err, "%zu elements, at most %zu are allowed", n, list->max);
	array->items = xcalloc(n, list->item_size);
	array->n = n;
	for (size_t i = 0; i < n; i++) {
		struct config_value child = {v->text, v, NULL, i, json_array_get(v->json, i)};
		char *item = (char *)array->items + i * list->item_size;
		int r;

		if (list->init)
			list->init(item);
		r = list->decode(&child, item, list->arg, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void config_array_append(struct config_array *a, const void *items, size_t n, size_t item_size)
{
	if (!n)
		return;
	a->items = xreallocarray(a->items, a->n + n, item_size);
	memcpy((char *)a->items + a->n * item_size, items, n * item_size);
	a->n += n;
}

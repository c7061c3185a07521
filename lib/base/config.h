#pragma once
/* Strict JSON configuration: a table says which keys an object may have and how each is decoded.
 * An unknown key, a wrong type, a value out of bounds or a missing key is one line with file, line
 * and path:
 *
 *	router.json:7: probe.intervall: unknown key
 *
 * The same tables decode model files (--model) and the CNI configuration. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Files larger than this, or nested deeper than jansson's limit of 2048, are refused. */
#define CONFIG_FILE_MAX (4U << 20)

/* A JSON text and where it came from. */
struct config_text {
	char *name; /* as shown in messages */
	char *text;
	json_t *root;
};

void config_text_free(struct config_text *t);
#define auto_config_text __attribute__((cleanup(config_text_free)))

/* Reads and parses a file. Duplicate keys are refused. -errno, or -EINVAL with line and column. */
int config_text_load(const char *file, struct config_text *ret, struct err *err);

/* The same from memory; `name` stands for the file in messages. */
int config_text_parse(const char *name, const char *text, struct config_text *ret, struct err *err);

/* A value within a text. `path` grows on the stack of the decoders: "networks[0].vni". */
struct config_value {
	const struct config_text *text;
	const struct config_value *parent;
	const char *key; /* NULL for an array element */
	size_t index;
	json_t *json;
};

struct config_value config_root(const struct config_text *t);

/* Fills `err` with "FILE:LINE: PATH: <fmt>" for this value and returns -EINVAL. */
int config_error(const struct config_value *v, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Decodes `v` to `out`, whose type belongs to the decoder. `arg` is the field's. On failure
 * -EINVAL; what was allocated so far hangs on the struct being filled and is freed by its owner. */
typedef int config_decode_fn(const struct config_value *v, void *out, const void *arg,
			     struct err *err);

struct config_field {
	const char *key;
	config_decode_fn *decode;
	size_t offset;	 /* of `out` in the struct */
	const void *arg; /* for the decoder */
	bool required;	 /* otherwise the struct keeps its default */
};

/* A field that is accepted and ignored, e.g. another tool's key. */
int config_ignore(const struct config_value *v, void *out, const void *arg, struct err *err);

int config_string(const struct config_value *v, void *out, const void *arg,
		  struct err *err); /* char *, owned; non-empty */
int config_bool(const struct config_value *v, void *out, const void *arg,
		struct err *err); /* bool */
int config_addr(const struct config_value *v, void *out, const void *arg,
		struct err *err); /* struct addr */
int config_prefix(const struct config_value *v, void *out, const void *arg,
		  struct err *err); /* struct prefix */
int config_range(const struct config_value *v, void *out, const void *arg,
		 struct err *err); /* struct addr_range */
int config_mac(const struct config_value *v, void *out, const void *arg,
	       struct err *err); /* struct mac */

/* unsigned int within the bounds of `arg` (struct config_bounds). */
struct config_bounds {
	unsigned int min, max;
};
int config_uint(const struct config_value *v, void *out, const void *arg, struct err *err);

/* "500ms", "2s", "1m" as unsigned int milliseconds within the bounds of `arg`. */
int config_duration(const struct config_value *v, void *out, const void *arg, struct err *err);

/* char[IFNAMSIZ]: a name the kernel takes for an interface. */
int config_ifname(const struct config_value *v, void *out, const void *arg, struct err *err);

/* char * of [a-z0-9-], 1 to *(const unsigned int *)arg characters, first and last not '-'. */
int config_label(const struct config_value *v, void *out, const void *arg, struct err *err);

/* int: index of the string in `arg`, a NULL-terminated array of const char *. */
int config_enum(const struct config_value *v, void *out, const void *arg, struct err *err);

/* A struct decoded by `arg` = struct config_object. */
struct config_object {
	const struct config_field *fields;
	size_t n_fields;
	/* As CNI reads JSON: keys match without regard to case (the exact spelling first), null
	 * stands for an absent key, unknown keys are somebody else's. */
	bool lenient;
};
int config_object(const struct config_value *v, void *out, const void *arg, struct err *err);

/* `out` is a struct config_array; `arg` = struct config_list. */
struct config_list {
	config_decode_fn *decode;
	const void *arg;
	size_t item_size;
	size_t max;		  /* more elements than this are refused */
	void (*init)(void *item); /* sets defaults of a zeroed element; may be NULL */
};
struct config_array {
	void *items; /* owned by the struct's owner */
	size_t n;
};
int config_list(const struct config_value *v, void *out, const void *arg, struct err *err);

/* Appends copies of `n` items to what a list was decoded to. */
void config_array_append(struct config_array *a, const void *items, size_t n, size_t item_size);

/* For checks after decoding: where a value is, as messages show it. */
#define CONFIG_PATH_STEPS 8
struct config_path {
	char text[96];
};

/* config_path("networks[%zu].vni", i): keys without '.', '[' and ']'. A path of more steps or
 * characters is a programmer's error. */
struct config_path config_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* config_error() for the value at `path`; where a step of it does not exist, for the last value that
 * does. */
int config_error_at(const struct config_text *t, struct config_path path, struct err *err,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

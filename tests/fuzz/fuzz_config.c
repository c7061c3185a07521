/* The configuration decoder and its position scanner, with a table that has every kind of value. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_field fields[] = {
	{"objects", object_list_decode, 0, NULL, false},
	{"other", config_ignore, 0, NULL, false},
};
static const struct config_object object = {fields, array_len(fields)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_config_text struct config_text text = {0};
	auto_object_list struct object_list list = {0};
	auto_free char *s = xcalloc(size + 1, 1);
	struct config_value root;
	struct err err = {0};

	memcpy(s, data, size);
	if (config_text_parse("fuzz", s, &text, &err) < 0)
		return 0;
	root = config_root(&text);
	config_object(&root, &list, &object, &err);
	config_error_at(&text, config_path("objects[1].dst"), &err, "as a check would");
	config_error_at(&text, config_path("other[0].a[0]"), &err, "as a check would");
	return 0;
}

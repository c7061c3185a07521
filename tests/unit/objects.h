#pragma once
/* Objects from JSON text, so that a test's table shows them as operators see them. */

#include "test.h"

#include "object.h"

/* Decodes `text`, a JSON list of objects, to the end of `list`. */
static inline void objects_parse(const char *text, struct object_list *list)
{
	auto_config_text struct config_text t = {0};
	struct config_value root;
	struct err err = {0};

	if (config_text_parse("objects", text, &t, &err) < 0)
		fail_msg("%s", err.text);
	root = config_root(&t);
	if (object_list_decode(&root, list, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

#pragma once
/* The attachments that a runtime calls valid when it asks for garbage collection. Pure. */

#include <stdbool.h>

#include "config.h"

struct gc_list {
	bool given; /* false: the runtime said nothing, which is not the same as "none" */
	struct config_array new, old;
};

void gc_list_clear(struct gc_list *list);
#define auto_gc_list __attribute__((cleanup(gc_list_clear)))

/* Reads `cni.dev/valid-attachments` and `cni.dev/attachments`, as it was called in drafts of the
 * specification; libcni sends both. Either protects. */
int gc_list_load(const struct config_text *text, struct gc_list *ret, struct err *err);

bool gc_list_has(const struct gc_list *list, const char *container_id, const char *ifname);

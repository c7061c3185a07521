/* The valid attachments of GC: all that the configuration lists is found, by either key. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "gc.h"
#include "mem.h"
#include "netconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_found(const struct gc_list *list, const json_t *attachments)
{
	for (size_t i = 0; i < json_array_size(attachments); i++) {
		const json_t *item = json_array_get(attachments, i);
		const char *id = json_string_value(json_object_get(item, "containerID"));
		const char *ifname = json_string_value(json_object_get(item, "ifname"));

		if (id && ifname && !gc_list_has(list, id, ifname))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_config_text struct config_text text = {0};
	auto_gc_list struct gc_list list = {0};
	auto_free char *s = xcalloc(size + 1, 1);
	struct err err = {0};

	memcpy(s, data, size);
	if (netconf_parse(s, size, &text, &err) != CNI_OK || gc_list_load(&text, &list, &err) < 0)
		return 0;
	check_found(&list, json_object_get(text.root, "cni.dev/valid-attachments"));
	check_found(&list, json_object_get(text.root, "cni.dev/attachments"));
	if (gc_list_has(&list, "", ""))
		abort();
	return 0;
}

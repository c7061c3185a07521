#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "gc.h"

/* Far more than a node has pods; the size of the input is bounded as well. */
#define VALID_MAX 65536

struct valid {
	char *container_id;
	char *ifname;
};

static void valid_clear(struct config_array *array)
{
	struct valid *items = array->items;

	for (size_t i = 0; i < array->n; i++) {
		free(items[i].container_id);
		free(items[i].ifname);
	}
	free(items);
	*array = (struct config_array){0};
}

void gc_list_clear(struct gc_list *list)
{
	valid_clear(&list->new);
	valid_clear(&list->old);
}

static const struct config_field valid_fields[] = {
	{"containerID", config_string, offsetof(struct valid, container_id), NULL, true},
	{"ifname", config_string, offsetof(struct valid, ifname), NULL, true},
};

static const struct config_object valid_object = {valid_fields, array_len(valid_fields),
						  .lenient = true};

static const struct config_list valid_list = {
	.decode = config_object,
	.arg = &valid_object,
	.item_size = sizeof(struct valid),
	.max = VALID_MAX,
};

static const struct config_field fields[] = {
	{"cni.dev/valid-attachments", config_list, offsetof(struct gc_list, new), &valid_list},
	{"cni.dev/attachments", config_list, offsetof(struct gc_list, old), &valid_list},
};

static const struct config_object object = {fields, array_len(fields), .lenient = true};

static int valid_cmp(const void *a, const void *b)
{
	const struct valid *x = a, *y = b;
	int r = strcmp(x->container_id, y->container_id);

	return r ? r : strcmp(x->ifname, y->ifname);
}

static void sort(struct config_array *array)
{
	if (array->items)
		qsort(array->items, array->n, sizeof(struct valid), valid_cmp);
}

int gc_list_load(const struct config_text *text, struct gc_list *ret, struct err *err)
{
	const struct config_value root = config_root(text);
	int r = config_object(&root, ret, &object, err);

	if (r < 0)
		return r;
	ret->given = ret->new.items || ret->old.items;
	sort(&ret->new);
	sort(&ret->old);
	return 0;
}

static bool has(const struct config_array *array, const struct valid *wanted)
{
	return array->n && bsearch(wanted, array->items, array->n, sizeof(struct valid), valid_cmp);
}

bool gc_list_has(const struct gc_list *list, const char *container_id, const char *ifname)
{
	const struct valid wanted = {(char *)container_id, (char *)ifname};

	return has(&list->new, &wanted) || has(&list->old, &wanted);
}

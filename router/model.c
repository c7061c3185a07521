#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

void model_init(struct model *model, const struct router_config *config)
{
	*model = (struct model){.n_exits = router_config_exits(config)};
	model->exits = xcalloc(model->n_exits, sizeof(*model->exits));
	for (size_t i = 0; i < model->n_exits; i++) {
		model->exits[i].addr = addr_add(&config->exits.first, (int64_t)i);
		model->exits[i].weight = 1;
	}
}

void model_free(struct model *model)
{
	free(model->exits);
	object_list_free(&model->actual);
	*model = (struct model){0};
}

bool model_exit_takes_flows(const struct model_exit *exit)
{
	return exit->state == EXIT_UP && exit->weight;
}

size_t model_exits_up(const struct model *model)
{
	size_t n = 0;

	for (size_t i = 0; i < model->n_exits; i++)
		n += model_exit_takes_flows(&model->exits[i]);
	return n;
}

bool model_exit_hoped_for(const struct model *model)
{
	for (size_t i = 0; i < model->n_exits; i++) {
		if (model->exits[i].state == EXIT_SUSPECT)
			return true;
	}
	return false;
}

/* --- model files --- */

/* In the order of enum exit_state. */
static const char *const state_names[] = {"unknown", "up", "suspect", "down", NULL};
static const struct config_bounds weight_bounds = {0, HEALTH_WEIGHT_MAX};

struct exit_item {
	struct addr addr;
	int state;
	unsigned int weight;
};

static void exit_item_init(void *item)
{
	((struct exit_item *)item)->weight = 1;
}

static const struct config_field exit_fields[] = {
	{"address", config_addr, offsetof(struct exit_item, addr), NULL, true},
	{"state", config_enum, offsetof(struct exit_item, state), state_names, true},
	{"weight", config_uint, offsetof(struct exit_item, weight), &weight_bounds, false},
};
static const struct config_object exit_object = {exit_fields, array_len(exit_fields)};
static const struct config_list exit_list = {
	config_object, &exit_object, sizeof(struct exit_item), EXITS_MAX, exit_item_init,
};

struct model_file {
	bool promoted;
	struct config_array exits; /* struct exit_item */
	struct object_list objects;
};

static const struct config_field file_fields[] = {
	{"promoted", config_bool, offsetof(struct model_file, promoted), NULL, false},
	{"exits", config_list, offsetof(struct model_file, exits), &exit_list, false},
	{"objects", object_list_decode, offsetof(struct model_file, objects), NULL, false},
};
static const struct config_object file_object = {file_fields, array_len(file_fields)};

static void model_file_free(struct model_file *file)
{
	free(file->exits.items);
	object_list_free(&file->objects);
}

static int model_take(struct model *model, const struct config_value *root,
		      const struct model_file *file, struct err *err)
{
	const struct exit_item *items = file->exits.items;

	for (size_t i = 0; i < file->exits.n; i++) {
		uint64_t index = UINT64_MAX;

		if (addr_cmp(&items[i].addr, &model->exits[0].addr) >= 0)
			index = addr_distance(&model->exits[0].addr, &items[i].addr);
		if (index >= model->n_exits)
			return config_error(root, err, "exits[%zu] is not of the range", i);
		model->exits[index].state = (enum exit_state)items[i].state;
		model->exits[index].weight = items[i].weight;
	}
	model->promoted = file->promoted;
	for (size_t i = 0; i < file->objects.n; i++)
		object_list_append(&model->actual, &file->objects.items[i]);
	return 0;
}

int model_load(const char *file, struct model *model, struct err *err)
{
	auto_config_text struct config_text text = {0};
	__attribute__((cleanup(model_file_free))) struct model_file decoded = {0};
	struct config_value root;
	int r = config_text_load(file, &text, err);

	if (r < 0)
		return r;
	root = config_root(&text);
	r = config_object(&root, &decoded, &file_object, err);
	return r < 0 ? r : model_take(model, &root, &decoded, err);
}

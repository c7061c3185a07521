#include "model.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

void model_init(struct model *m, size_t n)
{
	*m = (struct model){.exits = xcalloc(n, sizeof(*m->exits)), .n_exits = n};
}

void model_free(struct model *m)
{
	object_list_free(&m->actual);
	free(m->exits);
	*m = (struct model){0};
}

static void literal_endpoint(const struct wgquick_endpoint *e, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct addr addr;

	if (addr_parse(e->host, &addr) < 0)
		return;
	*ret = (struct sockaddr_storage){.ss_family = addr.family};
	if (addr.family == AF_INET) {
		v4->sin_port = htons(e->port);
		memcpy(&v4->sin_addr, addr.bytes, sizeof(v4->sin_addr));
	} else {
		v6->sin6_port = htons(e->port);
		memcpy(&v6->sin6_addr, addr.bytes, sizeof(v6->sin6_addr));
	}
}

void model_literal_endpoints(struct model *m, const struct gateway_config *config)
{
	for (size_t i = 0; i < m->n_exits; i++) {
		const struct wgquick *wg = &config_exit(config, i)->wg;

		for (size_t j = 0; j < wg->n_peers; j++)
			literal_endpoint(&wg->peers[j].endpoint, &m->exits[i].endpoints[j]);
	}
}

/* --- model files --- */

struct exit_line {
	char *name;
	bool held;
};

struct model_file {
	struct object_list objects;
	unsigned int underlay_mtu;
	struct config_array exits; /* of struct exit_line */
};

static const unsigned int name_max = EXIT_NAME_MAX;
static const struct config_bounds mtu_bounds = {0, 65535};

static const struct config_field exit_fields[] = {
	{"name", config_label, offsetof(struct exit_line, name), &name_max, true},
	{"held", config_bool, offsetof(struct exit_line, held)},
};
static const struct config_object exit_object = {exit_fields, array_len(exit_fields)};
static const struct config_list exit_list = {
	.decode = config_object,
	.arg = &exit_object,
	.item_size = sizeof(struct exit_line),
	.max = EXITS_MAX,
};
static const struct config_field root_fields[] = {
	{"objects", object_list_decode, offsetof(struct model_file, objects)},
	{"underlayMtu", config_uint, offsetof(struct model_file, underlay_mtu), &mtu_bounds},
	{"exits", config_list, offsetof(struct model_file, exits), &exit_list},
};
static const struct config_object root_object = {root_fields, array_len(root_fields)};

static void model_file_clear(struct model_file *f)
{
	struct exit_line *lines = f->exits.items;

	for (size_t i = 0; i < f->exits.n; i++)
		free(lines[i].name);
	free(lines);
	object_list_free(&f->objects);
}
#define auto_model_file __attribute__((cleanup(model_file_clear)))

static int take_exits(const struct config_text *t, const struct model_file *f,
		      const struct gateway_config *config, struct model *ret, struct err *err)
{
	const struct exit_line *lines = f->exits.items;

	for (size_t i = 0; i < f->exits.n; i++) {
		size_t j = 0;

		while (j < config->exits.n &&
		       strcmp(config_exit(config, j)->name, lines[i].name) != 0)
			j++;
		if (j == config->exits.n)
			return err_set(err, -EINVAL, "%s: exits[%zu].name: no exit \"%s\"", t->name,
				       i, lines[i].name);
		ret->exits[j].held = lines[i].held;
	}
	return 0;
}

int model_load(const char *file, const struct gateway_config *config, struct model *ret,
	       struct err *err)
{
	auto_config_text struct config_text t = {0};
	auto_model_file struct model_file f = {0};
	struct config_value root;

	if (config_text_load(file, &t, err) < 0)
		return err->code;
	root = config_root(&t);
	if (config_object(&root, &f, &root_object, err) < 0)
		return err->code;
	model_init(ret, config->exits.n);
	ret->actual = f.objects;
	f.objects = (struct object_list){0};
	ret->underlay_mtu = f.underlay_mtu;
	model_literal_endpoints(ret, config);
	return take_exits(&t, &f, config, ret, err);
}

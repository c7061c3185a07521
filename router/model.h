#pragma once
/* What the router has observed, and all that desired.c may look at besides the configuration. */

#include <stdbool.h>
#include <stddef.h>

#include "addr.h"
#include "config.h"
#include "err.h"
#include "exit_state.h"
#include "health_document.h"
#include "object.h"
#include "router_config.h"

struct model_exit {
	struct addr addr;
	char name[EXIT_NAME_MAX]; /* as its holder told, "" before */
	enum exit_state state;
	unsigned int weight; /* of an exit that is up; 0: no new flows */
};

struct model {
	bool promoted;		  /* holds the VIP, the gate is open */
	struct model_exit *exits; /* the whole range, in order */
	size_t n_exits;
	struct object_list actual; /* from a model file only: what the kernel holds */
};

/* Every exit unknown, nothing promoted. */
void model_init(struct model *model, const struct router_config *config);
void model_free(struct model *model);
#define auto_model __attribute__((cleanup(model_free)))

/* Reads {"promoted":true,"exits":[{"address":"192.168.50.248","state":"up","weight":1}],
 * "objects":[…]} into an initialized model. */
int model_load(const char *file, struct model *model, struct err *err);

/* New flows may go there. */
bool model_exit_takes_flows(const struct model_exit *exit);
size_t model_exits_up(const struct model *model);
/* One that is suspect: it may be up again in a moment. */
bool model_exit_hoped_for(const struct model *model);

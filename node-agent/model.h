#pragma once
/* What byway-node observes: the kernel, or a file that tells of one (--model). */

#include "net.h"
#include "node_config.h"
#include "object.h"

struct node_model {
	unsigned int underlay_mtu; /* bytes, of the interface that carries the node's address */
	struct object_list objects;
};

void node_model_free(struct node_model *model);
#define auto_node_model __attribute__((cleanup(node_model_free)))

/* {"underlayMtu":1500,"objects":[…]}; fills the zeroed `ret`. */
int node_model_load(const char *file, struct node_model *ret, struct err *err);

/* Looks for the interface of the caller's namespace that carries `address`; its MTU in bytes.
 * -EADDRNOTAVAIL where none does. */
int node_underlay_mtu(const struct addr *address, unsigned int *ret, struct err *err);

#pragma once
/* Brings the kernel to what desired.c says. Nothing here forks. */

#include "model.h"
#include "net.h"
#include "router_config.h"

struct apply {
	struct net *net;
	struct object_list actual; /* what the kernel held after the last call */
	char *ruleset;		   /* that was loaded last, NULL: none */
};

/* Opens the caller's namespace. */
int apply_open(struct apply *apply, struct err *err);
void apply_close(struct apply *apply);

/* Looks at the kernel and repairs: for the start and now and then. */
int apply_reconcile(struct apply *apply, const struct router_config *config,
		    const struct model *model, struct err *err);

/* From what the kernel held last: the way of health changes and promotions. */
int apply_update(struct apply *apply, const struct router_config *config, const struct model *model,
		 struct err *err);

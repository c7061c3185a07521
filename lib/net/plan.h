#pragma once
/* What must be done so that the kernel holds what is wanted: one verdict an object. Pure. */

#include "object.h"

enum verdict {
	VERDICT_KEEP,
	VERDICT_CREATE,
	VERDICT_UPDATE,
	VERDICT_DELETE,
	VERDICT_FOREIGN, /* somebody else's object has the identity of a wanted one: left alone */
};

struct plan_step {
	enum verdict verdict;
	struct object object; /* the wanted one; for DELETE and FOREIGN the actual one */
};

struct plan {
	struct plan_step *steps; /* deletions first, in reverse order of `actual`; then the rest in
				    order of `wanted` */
	size_t n, cap;
};

void plan_free(struct plan *plan);
#define auto_plan __attribute__((cleanup(plan_free)))

/* Fills the zeroed `ret`. An actual object that is ours and not wanted is deleted (LINK_ANY never);
 * one that must be replaced appears as DELETE and CREATE. The deletion of a link swallows the
 * deletions of its addresses, routes and FDB entries, which the kernel does itself, and makes those
 * that are wanted CREATE. */
void plan_make(const struct object_list *wanted, const struct object_list *actual,
	       struct plan *ret);

/* True where applying it would change nothing. */
bool plan_empty(const struct plan *plan);

/* A line a step: "create route table 100 …". KEEP is printed only with `all`. */
void plan_print(const struct plan *plan, bool all, struct strbuf *b);

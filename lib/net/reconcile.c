/* Wanted against actual, as a daemon does it: with a look at the kernel, and from memory. */
#include "internal.h"

#include <stdlib.h>

#include "mem.h"

static void replace_list(struct object_list *list, struct object_list *with)
{
	object_list_free(list);
	*list = *with;
	*with = (struct object_list){0};
}

int net_reconcile(struct net *net, const struct object_list *wanted, struct object_list *actual,
		  net_failed_fn *failed, void *data, struct err *err)
{
	auto_object_list struct object_list before = {0}, after = {0};
	auto_plan struct plan plan = {0};
	struct err look;
	int r = net_observe(net, wanted, &before, err);

	if (r < 0)
		return r;
	plan_make(wanted, &before, &plan);
	r = net_apply(net, &plan, failed, data, err);
	if (!actual)
		return r;
	if (plan_empty(&plan)) {
		replace_list(actual, &before);
		return r;
	}
	if (net_observe(net, wanted, &after, &look) < 0) {
		if (r == 0)
			*err = look;
		return r < 0 ? r : look.code;
	}
	replace_list(actual, &after);
	return r;
}

/* What is there after a step, as far as one can know without looking. */
static void remember_step(const struct plan_step *step, bool done,
			  const struct object_index *before, struct object_list *after)
{
	const struct object *was = object_index_find(before, &step->object, NULL);
	bool changed = false;

	switch (step->verdict) {
	case VERDICT_CREATE:
		if (!done)
			return;
		changed = true;
		break;
	case VERDICT_UPDATE:
		changed = done;
		break;
	case VERDICT_DELETE:
		if (done)
			return;
		break;
	case VERDICT_KEEP:
	case VERDICT_FOREIGN:
		break;
	}
	if (!changed && was) {
		object_list_append(after, was);
		return;
	}
	object_list_append(after, &step->object);
	after->items[after->n - 1].ours = true;
}

int net_update(struct net *net, const struct object_list *wanted, struct object_list *actual,
	       net_failed_fn *failed, void *data, struct err *err)
{
	auto_object_index struct object_index before = {0}, wanted_index = {0};
	auto_object_list struct object_list after = {0};
	auto_plan struct plan plan = {0};
	auto_free bool *done = NULL;
	int r;

	plan_make(wanted, actual, &plan);
	if (plan_empty(&plan))
		return 0;
	object_index_build(&before, actual);
	object_index_build(&wanted_index, wanted);
	done = xcalloc(plan.n + 1, sizeof(*done));
	r = apply_plan(net, &plan, done, failed, data, err);
	for (size_t i = 0; i < plan.n; i++)
		remember_step(&plan.steps[i], done[i], &before, &after);
	/* What others put there is still there. */
	for (size_t i = 0; i < actual->n; i++) {
		if (!actual->items[i].ours &&
		    !object_index_find(&wanted_index, &actual->items[i], NULL))
			object_list_append(&after, &actual->items[i]);
	}
	replace_list(actual, &after);
	return r;
}

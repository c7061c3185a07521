/* Theory of operation
 *
 * Steps are taken in the plan's order. A link or an IPVS object is a conversation of its own;
 * addresses, routes, rules and FDB entries are one message each and wait in a batch, which goes out
 * in one sendmsg() when it is full or something else comes: order is kept, and switching a thousand
 * routes costs eight system calls. A link that could not be made takes what stands on it along,
 * silently: its own failure has been told.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include "ipvs.h"

struct applying {
	struct net *net;
	const struct plan *plan;
	bool *done; /* by step: holds now; may be NULL */
	net_failed_fn *failed;
	void *data;
	struct err *first; /* code 0 while nothing has failed */

	struct object_list missing; /* links that could not be made, or are foreign */

	struct nl_msg *batch[NET_BATCH_MAX];
	size_t steps[NET_BATCH_MAX]; /* index of the step a message belongs to */
	size_t n_batch;
};

static void applying_free(struct applying *a)
{
	for (size_t i = 0; i < a->n_batch; i++)
		nlmsg_free(a->batch[i]);
	object_list_free(&a->missing);
}

/* Is this the error that says that the wanted has come about by itself? */
static bool is_success(const struct plan_step *step, int code)
{
	switch (step->verdict) {
	case VERDICT_CREATE:
		/* A link's name, or its VNI, may be taken by something quite different. */
		return code == -EEXIST && step->object.kind != OBJECT_LINK;
	case VERDICT_DELETE:
		return code == -ENODEV || code == -ENOENT || code == -ESRCH ||
		       code == -EADDRNOTAVAIL;
	case VERDICT_UPDATE:
	case VERDICT_KEEP:
	case VERDICT_FOREIGN:
		break;
	}
	return false;
}

/* Accounts for a step that was taken with the result `code` (and `err`, where negative). */
static void settle(struct applying *a, size_t i, int code, struct err *err)
{
	const struct plan_step *step = &a->plan->steps[i];
	auto_strbuf struct strbuf text = {0};

	if (a->done)
		a->done[i] = code == 0 || is_success(step, code);
	if (code == 0 || is_success(step, code))
		return;
	if (step->object.kind == OBJECT_LINK && step->verdict == VERDICT_CREATE)
		object_list_append(&a->missing, &step->object);
	object_print(&step->object, &text);
	err_wrap(err, "%s", strbuf_text(&text));
	if (!a->first->code)
		*a->first = *err;
	if (a->failed)
		a->failed(step, err, a->data);
}

static void flush(struct applying *a)
{
	struct net_ack acks[NET_BATCH_MAX];
	size_t n = a->n_batch;
	struct err err = {0};
	int r = net_talk_batch(a->net->rtnl, a->batch, n, acks, &err);

	a->n_batch = 0;
	for (size_t i = 0; i < n; i++) {
		struct err own = err; /* the socket's, shared by all of the batch */

		nlmsg_free(a->batch[i]);
		settle(a, a->steps[i], r < 0 ? r : net_ack_error(&acks[i], &own), &own);
	}
}

static void apply_batched(struct applying *a, size_t i)
{
	struct nl_msg *msg;
	struct err err;
	int r = wire_encode(a->net, &a->plan->steps[i], &msg, &err);

	if (r < 0) {
		settle(a, i, r, &err);
		return;
	}
	a->batch[a->n_batch] = msg;
	a->steps[a->n_batch++] = i;
	if (a->n_batch == NET_BATCH_MAX)
		flush(a);
}

static int apply_link(struct net *net, const struct plan_step *step, struct err *err)
{
	switch (step->verdict) {
	case VERDICT_CREATE:
		return link_create(net, &step->object.link, err);
	case VERDICT_UPDATE:
		return link_update(net, &step->object.link, err);
	case VERDICT_DELETE:
		return link_delete(net, &step->object.link, err);
	case VERDICT_KEEP:
	case VERDICT_FOREIGN:
		break;
	}
	return 0;
}

static bool is_missing(const struct applying *a, const char *name)
{
	for (size_t i = 0; name[0] && i < a->missing.n; i++) {
		if (!strcmp(a->missing.items[i].link.name, name))
			return true;
	}
	return false;
}

/* Does the step stand on a link that could not be made? */
static bool is_hopeless(struct applying *a, const struct object *object)
{
	if (object->kind != OBJECT_LINK)
		return is_missing(a, object_dev(object));
	if (!is_missing(a, object->link.master) && !is_missing(a, object->link.parent))
		return false;
	object_list_append(&a->missing, object);
	return true;
}

static void apply_step(struct applying *a, size_t i)
{
	const struct plan_step *step = &a->plan->steps[i];
	struct err err = {0};

	if (step->verdict == VERDICT_FOREIGN && step->object.kind == OBJECT_LINK)
		object_list_append(&a->missing, &step->object);
	if (step->verdict == VERDICT_KEEP || step->verdict == VERDICT_FOREIGN) {
		settle(a, i, 0, &err);
		return;
	}
	if (step->verdict != VERDICT_DELETE && is_hopeless(a, &step->object))
		return;
	switch (step->object.kind) {
	case OBJECT_ADDRESS:
	case OBJECT_ROUTE:
	case OBJECT_RULE:
	case OBJECT_FDB:
		apply_batched(a, i);
		break;
	case OBJECT_LINK:
		flush(a);
		settle(a, i, apply_link(a->net, step, &err), &err);
		break;
	case OBJECT_IPVS_SERVICE:
	case OBJECT_IPVS_DESTINATION:
		flush(a);
		settle(a, i, ipvs_apply_step(a->net, step, &err), &err);
		break;
	}
}

int apply_plan(struct net *net, const struct plan *plan, bool *done, net_failed_fn *failed,
	       void *data, struct err *err)
{
	struct err first = {0};
	__attribute__((cleanup(applying_free))) struct applying a = {
		.net = net,
		.plan = plan,
		.done = done,
		.failed = failed,
		.data = data,
		.first = &first,
	};

	for (size_t i = 0; i < plan->n; i++)
		apply_step(&a, i);
	flush(&a);
	if (first.code)
		*err = first;
	return first.code;
}

int net_apply(struct net *net, const struct plan *plan, net_failed_fn *failed, void *data,
	      struct err *err)
{
	return apply_plan(net, plan, NULL, failed, data, err);
}

#include "apply.h"

#include <stdlib.h>
#include <string.h>

#include "desired.h"
#include "log.h"

int apply_open(struct apply *apply, struct err *err)
{
	*apply = (struct apply){0};
	return net_open(NULL, &apply->net, err);
}

void apply_close(struct apply *apply)
{
	if (apply->net)
		net_close(apply->net);
	object_list_free(&apply->actual);
	free(apply->ruleset);
	*apply = (struct apply){0};
}

static void step_failed(const struct plan_step *step, const struct err *err, void *data)
{
	auto_strbuf struct strbuf b = {0};

	object_print(&step->object, &b);
	log_error("cannot bring about", "object=\"%s\" error=\"%s\"", strbuf_text(&b), err->text);
}

/* One transaction; none where nothing changes. */
static int ruleset_load(struct apply *apply, const struct router_config *config,
			const struct model *model, struct err *err)
{
	auto_strbuf struct strbuf whole = {0};
	int r;

	desired_ruleset(config, model, &whole);
	if (apply->ruleset && !strcmp(apply->ruleset, strbuf_text(&whole)))
		return 0;
	r = net_nft(apply->net, strbuf_text(&whole), err);
	if (r < 0)
		return err_wrap(err, "ruleset");
	free(apply->ruleset);
	apply->ruleset = strbuf_steal(&whole);
	return 0;
}

typedef int objects_fn(struct net *net, const struct object_list *wanted,
		       struct object_list *actual, net_failed_fn *failed, void *data,
		       struct err *err);

/* The ruleset is what refuses: it is there before the VIP comes up, and is loaded also where an object
 * fails. The first error counts. */
static int apply_with(objects_fn *objects, struct apply *apply, const struct router_config *config,
		      const struct model *model, struct err *err)
{
	auto_object_list struct object_list wanted = {0};
	struct err objects_err;
	int r = ruleset_load(apply, config, model, err), failed;

	desired_objects(config, model, &wanted);
	failed = objects(apply->net, &wanted, &apply->actual, step_failed, NULL, &objects_err);
	if (r >= 0 && failed < 0) {
		*err = objects_err;
		r = failed;
	}
	return r;
}

int apply_reconcile(struct apply *apply, const struct router_config *config,
		    const struct model *model, struct err *err)
{
	return apply_with(net_reconcile, apply, config, model, err);
}

int apply_update(struct apply *apply, const struct router_config *config, const struct model *model,
		 struct err *err)
{
	return apply_with(net_update, apply, config, model, err);
}

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

/* Is the gate all that a ruleset for `model` would change? */
static bool gate_differs_only(const struct apply *apply, const struct router_config *config,
			      const struct model *model)
{
	auto_strbuf struct strbuf other = {0};
	struct model opposite = *model;

	opposite.promoted = !model->promoted;
	desired_ruleset(config, &opposite, &other);
	return apply->ruleset && !strcmp(apply->ruleset, strbuf_text(&other));
}

/* One transaction; none where nothing changes. */
static int ruleset_load(struct apply *apply, const struct router_config *config,
			const struct model *model, struct err *err)
{
	auto_strbuf struct strbuf whole = {0}, gate = {0};
	bool gate_only = gate_differs_only(apply, config, model);
	int r;

	desired_ruleset(config, model, &whole);
	if (apply->ruleset && !strcmp(apply->ruleset, strbuf_text(&whole)))
		return 0;
	desired_gate(model, &gate);
	r = net_nft(apply->net, strbuf_text(gate_only ? &gate : &whole), err);
	if (r < 0)
		return err_wrap(err, "ruleset");
	free(apply->ruleset);
	apply->ruleset = strbuf_steal(&whole);
	return 0;
}

typedef int objects_fn(struct net *net, const struct object_list *wanted,
		       struct object_list *actual, net_failed_fn *failed, void *data,
		       struct err *err);

/* A gate that shuts, shuts before anything else changes; one that opens, opens when the rest is
 * there. The ruleset is loaded also where an object fails, for it is what refuses; the first error
 * counts. */
static int apply_with(objects_fn *objects, struct apply *apply, const struct router_config *config,
		      const struct model *model, struct err *err)
{
	auto_object_list struct object_list wanted = {0};
	struct err ruleset_err;
	int r, ruleset = 0;

	desired_objects(config, model, &wanted);
	if (!model->promoted)
		ruleset = ruleset_load(apply, config, model, &ruleset_err);
	r = objects(apply->net, &wanted, &apply->actual, step_failed, NULL, err);
	if (model->promoted)
		ruleset = ruleset_load(apply, config, model, &ruleset_err);
	if (r >= 0 && ruleset < 0) {
		*err = ruleset_err;
		r = ruleset;
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

/* Theory of operation
 *
 * The kernel deletes more than it is asked for: with a link go its macvlans, and what is on them;
 * with an IPVS service its destinations; and a link that is taken down loses its routes. So before
 * any verdict it is settled which actual objects *fall*: those deleted by a step of the plan and
 * those that fall with them. A wanted object that has fallen is created; an unwanted one that falls
 * by itself needs no step.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* How an actual object ends. */
enum fate { STAYS, DELETED, FALLS /* with another */ };

/* What plan_make() works on. */
struct planning {
	const struct object_list *wanted, *actual;
	struct object_index wanted_index, actual_index;
	enum fate *fates; /* of actual->items */
};

static void planning_free(struct planning *p)
{
	object_index_free(&p->wanted_index);
	object_index_free(&p->actual_index);
	free(p->fates);
}

void plan_free(struct plan *plan)
{
	free(plan->steps);
	*plan = (struct plan){0};
}

static void plan_add(struct plan *plan, enum verdict verdict, const struct object *object)
{
	if (plan->n == plan->cap) {
		plan->cap = plan->cap ? 2 * plan->cap : 16;
		plan->steps = xreallocarray(plan->steps, plan->cap, sizeof(*plan->steps));
	}
	plan->steps[plan->n++] = (struct plan_step){verdict, *object};
}

/* --- what falls --- */

static bool must_delete(const struct planning *p, const struct object *actual)
{
	const struct object *w;

	if (!actual->ours || (actual->kind == OBJECT_LINK && actual->link.kind == LINK_ANY))
		return false;
	w = object_index_find(&p->wanted_index, actual, NULL);
	return !w || !object_updatable(actual, w);
}

/* Does an actual object of this identity fall? */
static bool one_falls(const struct planning *p, const struct object *like)
{
	const struct object *o = NULL;

	while ((o = object_index_find(&p->actual_index, like, o))) {
		if (p->fates[o - p->actual->items] != STAYS)
			return true;
	}
	return false;
}

static struct object link_named(const char *name)
{
	struct object link = {.kind = OBJECT_LINK};

	memcpy(link.link.name, name, strnlen(name, IFNAMSIZ - 1));
	return link;
}

static bool link_falls(const struct planning *p, const char *name)
{
	const struct object link = link_named(name);

	return name[0] && one_falls(p, &link);
}

/* Is the link of this name up and to be taken down? */
static bool link_sinks(const struct planning *p, const char *name)
{
	const struct object link = link_named(name);
	const struct object *w = object_index_find(&p->wanted_index, &link, NULL);
	const struct object *a = object_index_find(&p->actual_index, &link, NULL);

	return w && a && w->link.kind != LINK_ANY && a->link.up && !w->link.up;
}

static bool service_falls(const struct planning *p, const struct ipvs_place *at)
{
	const struct object service = {.kind = OBJECT_IPVS_SERVICE, .service.at = *at};

	return one_falls(p, &service);
}

static bool falls(const struct planning *p, const struct object *o)
{
	switch (o->kind) {
	case OBJECT_LINK:
		return o->link.kind == LINK_MACVLAN && link_falls(p, o->link.parent);
	case OBJECT_ADDRESS:
		return link_falls(p, o->address.dev) ||
		       (o->address.prefix.addr.family == AF_INET6 && link_sinks(p, o->address.dev));
	case OBJECT_ROUTE:
		return link_falls(p, o->route.dev) || link_sinks(p, o->route.dev);
	case OBJECT_FDB:
		return link_falls(p, o->fdb.dev);
	case OBJECT_IPVS_DESTINATION:
		return service_falls(p, &o->destination.at);
	case OBJECT_RULE:
	case OBJECT_IPVS_SERVICE:
		break;
	}
	return false;
}

static void settle_fates(const struct planning *p)
{
	bool changed;

	for (size_t i = 0; i < p->actual->n; i++) {
		if (must_delete(p, &p->actual->items[i]))
			p->fates[i] = DELETED;
	}
	do { /* until nothing draws anything after it any more: a macvlan on a macvlan */
		changed = false;
		for (size_t i = 0; i < p->actual->n; i++) {
			if (p->fates[i] != FALLS && falls(p, &p->actual->items[i])) {
				p->fates[i] = FALLS;
				changed = true;
			}
		}
	} while (changed);
}

/* --- verdicts --- */

/* How well an actual object can stand for the wanted one of the same identity. */
static int rank(const struct object *actual, const struct object *wanted)
{
	return (object_satisfies(actual, wanted) ? 2 : 0) + (actual->ours ? 1 : 0);
}

/* There may be several of one identity (two rules of one pref): the best that stays, or NULL. */
static const struct object *best_match(const struct planning *p, const struct object *wanted)
{
	const struct object *best = NULL, *o = NULL;

	while ((o = object_index_find(&p->actual_index, wanted, o))) {
		if (p->fates[o - p->actual->items] == STAYS &&
		    (!best || rank(o, wanted) > rank(best, wanted)))
			best = o;
	}
	return best;
}

static void judge(const struct planning *p, const struct object *wanted, struct plan *ret)
{
	const struct object *actual = best_match(p, wanted);
	bool anybodys = wanted->kind == OBJECT_ADDRESS ||
			(wanted->kind == OBJECT_LINK && wanted->link.kind == LINK_ANY);

	if (!actual)
		plan_add(ret, VERDICT_CREATE, wanted);
	else if (!actual->ours && !anybodys)
		plan_add(ret, VERDICT_FOREIGN, actual);
	else if (!object_satisfies(actual, wanted) ||
		 /* A new bridge has lost its ports. */
		 (wanted->kind == OBJECT_LINK && link_falls(p, wanted->link.master)))
		plan_add(ret, VERDICT_UPDATE, wanted);
	else
		plan_add(ret, VERDICT_KEEP, wanted);
}

void plan_make(const struct object_list *wanted, const struct object_list *actual, struct plan *ret)
{
	__attribute__((cleanup(planning_free))) struct planning p = {.wanted = wanted,
								     .actual = actual};

	p.fates = xcalloc(actual->n + 1, sizeof(*p.fates));
	object_index_build(&p.wanted_index, wanted);
	object_index_build(&p.actual_index, actual);
	settle_fates(&p);
	for (size_t i = actual->n; i-- > 0;) {
		if (p.fates[i] == DELETED)
			plan_add(ret, VERDICT_DELETE, &actual->items[i]);
	}
	for (size_t i = 0; i < wanted->n; i++)
		judge(&p, &wanted->items[i], ret);
}

bool plan_empty(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		if (plan->steps[i].verdict != VERDICT_KEEP &&
		    plan->steps[i].verdict != VERDICT_FOREIGN)
			return false;
	}
	return true;
}

void plan_print(const struct plan *plan, bool all, struct strbuf *b)
{
	static const char *const names[] = {
		[VERDICT_KEEP] = "keep",       [VERDICT_CREATE] = "create",
		[VERDICT_UPDATE] = "update",   [VERDICT_DELETE] = "delete",
		[VERDICT_FOREIGN] = "foreign",
	};

	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_step *step = &plan->steps[i];

		if (step->verdict == VERDICT_KEEP && !all)
			continue;
		strbuf_add(b, "%s ", names[step->verdict]);
		object_print(&step->object, b);
		strbuf_add(b, "\n");
	}
}

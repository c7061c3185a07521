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

#include "cleanup.h"
#include "mem.h"

/* How an actual object ends. */
enum fate { STAYS, DELETED, FALLS /* with another */ };

/* What plan_make() works on. */
struct planning {
	const struct object_list *wanted, *actual;
	enum fate *fates; /* of actual->items */
};

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

static bool must_delete(const struct object_list *wanted, const struct object *actual)
{
	const struct object *w;

	if (!actual->ours || (actual->kind == OBJECT_LINK && actual->link.kind == LINK_ANY))
		return false;
	w = object_list_find(wanted, actual);
	return !w || !object_updatable(actual, w);
}

/* Does the link of this name fall? */
static bool link_falls(const struct planning *p, const char *name)
{
	for (size_t i = 0; name[0] && i < p->actual->n; i++) {
		const struct object *o = &p->actual->items[i];

		if (o->kind == OBJECT_LINK && p->fates[i] != STAYS && !strcmp(o->link.name, name))
			return true;
	}
	return false;
}

/* Is the link of this name up and to be taken down? */
static bool link_sinks(const struct planning *p, const char *name)
{
	struct object like = {.kind = OBJECT_LINK};
	const struct object *w, *a;

	if (!name[0])
		return false;
	memcpy(like.link.name, name, strnlen(name, IFNAMSIZ - 1));
	w = object_list_find(p->wanted, &like);
	a = object_list_find(p->actual, &like);
	return w && a && w->link.kind != LINK_ANY && a->link.up && !w->link.up;
}

static bool service_falls(const struct planning *p, unsigned int fwmark)
{
	for (size_t i = 0; i < p->actual->n; i++) {
		const struct object *o = &p->actual->items[i];

		if (o->kind == OBJECT_IPVS_SERVICE && p->fates[i] != STAYS &&
		    o->service.fwmark == fwmark)
			return true;
	}
	return false;
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
		return service_falls(p, o->destination.fwmark);
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
		if (must_delete(p->wanted, &p->actual->items[i]))
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
	const struct object *best = NULL;

	for (size_t i = 0; i < p->actual->n; i++) {
		const struct object *o = &p->actual->items[i];

		if (p->fates[i] == STAYS && object_same(o, wanted) &&
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
	else if (!object_satisfies(actual, wanted))
		plan_add(ret, VERDICT_UPDATE, wanted);
	else if (wanted->kind == OBJECT_LINK && link_falls(p, wanted->link.master))
		plan_add(ret, VERDICT_UPDATE, wanted); /* a new bridge has lost its ports */
	else
		plan_add(ret, VERDICT_KEEP, wanted);
}

void plan_make(const struct object_list *wanted, const struct object_list *actual, struct plan *ret)
{
	auto_free enum fate *fates = xcalloc(actual->n + 1, sizeof(*fates));
	const struct planning p = {wanted, actual, fates};

	settle_fates(&p);
	for (size_t i = actual->n; i-- > 0;) {
		if (fates[i] == DELETED)
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

#include "apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "desired.h"
#include "isolation.h"
#include "lease.h"
#include "log.h"
#include "mem.h"
#include "model.h"
#include "plan.h"
#include "reclaim.h"
#include "ruleset.h"

void node_agent_free(struct node_agent *agent)
{
	if (agent->net)
		net_close(agent->net);
	node_config_free(&agent->config);
	object_list_free(&agent->wanted);
	free(agent->foreign);
	free(agent->ruleset);
}

int node_agent_configure(struct node_agent *agent, struct node_config *config, struct err *err)
{
	unsigned int mtu;
	int r = node_underlay_mtu(&node_config_self(config)->address, &mtu, err);

	if (r == 0)
		r = node_config_check_underlay(config, mtu, err);
	if (r < 0)
		return r;
	node_config_free(&agent->config);
	object_list_free(&agent->wanted);
	agent->config = *config;
	*config = (struct node_config){0};
	agent->underlay_mtu = mtu;
	node_desired(&agent->config, mtu, &agent->wanted);
	free(steal_ptr(agent->ruleset));
	return 0;
}

/* The bridges carry frames, nothing here has an address: without this each would talk IPv6
 * multicast into the overlay. A kernel without IPv6 has no such key. */
static int silence_ipv6(struct net *net, struct err *err)
{
	static const char *const keys[] = {"net.ipv6.conf.default.disable_ipv6",
					   "net.ipv6.conf.all.disable_ipv6"};

	for (size_t i = 0; i < array_len(keys); i++) {
		int r = net_sysctl(net, keys[i], "1", err);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int node_prepare(struct node_agent *agent, struct err *err)
{
	int r = netns_ensure(agent->config.netns, err);

	if (r == 0)
		r = net_open(agent->config.netns, &agent->net, err);
	if (r == 0)
		r = silence_ipv6(agent->net, err);
	return r;
}

/* --- a pass --- */

/* Accounts for a failure; `first` keeps the first. */
static void note_failure(const struct err *err, struct err *first)
{
	log_error("cannot apply", "error=\"%s\"", err->text);
	if (!first->code)
		*first = *err;
}

static void ensure_leases(const struct node_config *config, struct err *first)
{
	for (size_t i = 0; i < config->networks.n; i++) {
		const struct node_network *network = &node_config_networks(config)[i];
		const struct node_lease *leases = node_network_leases(network);
		auto_free struct lease_range *ranges =
			xcalloc(network->leases.n + 1, sizeof(*ranges));
		struct err err;

		for (size_t j = 0; j < network->leases.n; j++) {
			const char *role = node_role_names[leases[j].role];

			memcpy(ranges[j].role, role, strlen(role) + 1);
			ranges[j].range = leases[j].range;
		}
		if (lease_ensure(config->lease_dir, network->name, ranges, network->leases.n,
				 &err) < 0)
			note_failure(&err, first);
	}
}

/* --- what isolates clients --- */

#define TABLE "bridge " ISOLATION_TABLE

int node_check_isolation(struct node_agent *agent, struct err *err)
{
	auto_strbuf struct strbuf now = {0};
	int r = net_nft_list(agent->net, TABLE, &now, err);

	if (r < 0)
		return r;
	if (!agent->ruleset || strcmp(agent->ruleset, strbuf_text(&now)) != 0)
		return err_set(err, -ESTALE, "nftables table " TABLE " has been changed");
	return 0;
}

static int load_ruleset(struct node_agent *agent, struct err *err)
{
	auto_strbuf struct strbuf text = {0}, listed = {0};
	int r;

	node_ruleset(&agent->config, &text);
	r = net_nft(agent->net, strbuf_text(&text), err);
	if (r == 0)
		r = net_nft_list(agent->net, TABLE, &listed, err);
	if (r < 0)
		return err_wrap(err, "isolating clients");
	free(agent->ruleset);
	agent->ruleset = strbuf_steal(&listed);
	return 0;
}

/* Loads where somebody changed it, or the configuration did; tells of the former. */
static int ensure_ruleset(struct node_agent *agent, struct err *err)
{
	struct err why;

	if (node_check_isolation(agent, &why) == 0)
		return 0;
	if (agent->ruleset) {
		log_warn("isolating clients again", "why=\"%s\"", why.text);
		agent->steps++;
	}
	return load_ruleset(agent, err);
}

static void ensure_isolation(struct node_agent *agent, struct err *first)
{
	struct isolation_changes changes = {0};
	struct err err;
	int r = ensure_ruleset(agent, &err);

	if (r == 0)
		r = isolation_restore(agent->net, &changes, &err);
	if (r < 0) {
		note_failure(&err, first);
		return;
	}
	if (changes.entered || changes.removed) {
		log_info("the entries of clients' ports follow the ports",
			 "entered=%zu removed=%zu", changes.entered, changes.removed);
		agent->steps++;
	}
}

/* --- objects --- */

/* Tells what stands in the way, once. */
static void tell_foreign(struct node_agent *agent, const struct plan *plan)
{
	auto_strbuf struct strbuf now = {0};

	for (size_t i = 0; i < plan->n; i++) {
		if (plan->steps[i].verdict != VERDICT_FOREIGN)
			continue;
		strbuf_add(&now, "%s", now.len ? ", " : "");
		object_print(&plan->steps[i].object, &now);
	}
	if (now.len && (!agent->foreign || strcmp(agent->foreign, now.s) != 0))
		log_warn("somebody else's object is in the way", "object='%s'", now.s);
	free(agent->foreign);
	agent->foreign = strbuf_steal(&now);
}

/* What a pass will do, a line a step. */
static void tell_changes(struct node_agent *agent, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan one = {.steps = &plan->steps[i], .n = 1};
		auto_strbuf struct strbuf text = {0};

		if (plan_empty(&one))
			continue;
		agent->steps++;
		plan_print(&one, false, &text);
		text.s[text.len - 1] = '\0'; /* the newline */
		log_info("changing the kernel", "step='%s'", text.s);
	}
}

static void step_failed(const struct plan_step *step, const struct err *err, void *data)
{
	(void)step;
	note_failure(err, data);
}

/* Fills `actual` with what was there before the pass changed it. */
static int ensure_objects(struct node_agent *agent, struct object_list *actual, struct err *first)
{
	auto_plan struct plan plan = {0};
	struct err err;

	if (net_observe(agent->net, &agent->wanted, actual, &err) < 0) {
		note_failure(&err, first);
		return err.code;
	}
	plan_make(&agent->wanted, actual, &plan);
	tell_foreign(agent, &plan);
	tell_changes(agent, &plan);
	net_apply(agent->net, &plan, step_failed, first, &err);
	return 0;
}

static void reclaim_leases(struct node_agent *agent, const struct object_list *links,
			   struct err *first)
{
	auto_object_index struct object_index index;

	object_index_build(&index, links);
	for (size_t i = 0; i < agent->config.networks.n; i++) {
		struct err err;

		if (reclaim_network(agent->net, agent->config.lease_dir,
				    node_config_networks(&agent->config)[i].name, &index,
				    &agent->reclaimed, &err) < 0)
			note_failure(&err, first);
	}
}

int node_apply(struct node_agent *agent, struct err *err)
{
	auto_object_list struct object_list actual = {0};
	struct err first = {0};

	ensure_leases(&agent->config, &first);
	ensure_isolation(agent, &first);
	if (ensure_objects(agent, &actual, &first) == 0)
		reclaim_leases(agent, &actual, &first);
	if (!first.code && agent->foreign[0])
		err_set(&first, -EEXIST, "in the way: %s", agent->foreign);
	agent->passes++;
	agent->failures += first.code != 0;
	agent->last = first;
	if (first.code)
		*err = first;
	return first.code;
}

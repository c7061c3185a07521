/* byway-gateway: carries exits, the VPN identities through which the network reaches the internet.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent.h"
#include "apply.h"
#include "daemon.h"
#include "desired.h"
#include "gateway_config.h"
#include "model.h"
#include "net.h"
#include "plan.h"

static int complain(const struct err *err, int status)
{
	fprintf(stderr, "%s\n", err->text);
	return status;
}

/* Keys must not end up in a core dump, nor be read by a debugger of the same user. */
static int refuse_dumps(struct err *err)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(err, -errno, "core dumps cannot be turned off");
	return 0;
}

/* Prints what would be done to the kernel that `m` shows, and the ruleset. */
static void print_plan(const struct gateway_config *config, const struct model *m)
{
	auto_object_list struct object_list wanted = {0};
	auto_plan struct plan plan = {0};
	auto_strbuf struct strbuf b = {0};

	desired_objects(config, m, &wanted);
	plan_make(&wanted, &m->actual, &plan);
	plan_print(&plan, false, &b);
	desired_ruleset(config, m, &b);
	fputs(strbuf_text(&b), stdout);
}

static int dry_run_from_file(const char *file, const struct gateway_config *config)
{
	auto_model struct model m = {0};
	struct err err = {0};

	if (model_load(file, config, &m, &err) < 0)
		return complain(&err, EXIT_CONFIG);
	print_plan(config, &m);
	return EXIT_OK;
}

/* All exits standby: what holds before the first election. */
static int once(const struct daemon_options *options, const struct gateway_config *config)
{
	auto_object_list struct object_list wanted = {0};
	auto_model struct model m = {0};
	auto_net struct net *net = NULL;
	struct err err = {0};
	int r;

	model_init(&m, config->exits.n);
	model_literal_endpoints(&m, config);
	if (net_open(NULL, &net, &err) < 0)
		return complain(&err, EXIT_RUNTIME);
	if (apply_check(net, config, &m, &err) < 0) {
		err_wrap(&err, "%s", options->config);
		return complain(&err, err.code == -EINVAL ? EXIT_CONFIG : EXIT_RUNTIME);
	}
	if (!options->dry_run)
		return apply_all(net, config, &m, &err) < 0 ? complain(&err, EXIT_RUNTIME)
							    : EXIT_OK;
	desired_objects(config, &m, &wanted);
	r = net_observe(net, &wanted, &m.actual, &err);
	if (r < 0)
		return complain(&err, EXIT_RUNTIME);
	print_plan(config, &m);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	auto_gateway_config struct gateway_config config = {0};
	struct daemon_options options;
	struct err err = {0};

	daemon_options_parse(argc, argv, "/etc/byway/gateway.json",
			     "carries VPN exits for a network, as one of a pair", &options);
	if (refuse_dumps(&err) < 0)
		return complain(&err, EXIT_RUNTIME);
	if (gateway_config_load(options.config, &config, &err) < 0)
		return complain(&err, EXIT_CONFIG);
	if (options.check) {
		printf("%s: good\n", options.config);
		return EXIT_OK;
	}
	if (options.model)
		return dry_run_from_file(options.model, &config);
	if (options.once)
		return once(&options, &config);
	return agent_run(options.config, &config);
}

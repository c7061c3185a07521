#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "version.h"

#define REAL_TIME_PRIORITY 15

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void usage(const char *program, const char *about, const char *default_config)
{
	printf("%s: %s\n\n"
	       "usage: %s [--config FILE] [--check] [--once] [--dry-run] [--model FILE] [--debug]\n\n"
	       "  --config FILE  configuration (default %s)\n"
	       "  --check        say whether the configuration is good, change nothing\n"
	       "  --once         bring about the desired state and leave\n"
	       "  --dry-run      print what would be done instead of doing it\n"
	       "  --model FILE   take what was observed from FILE instead of the kernel\n"
	       "  --debug        log more\n"
	       "  --version, --help\n\n"
	       "exit status: 0 good, 1 something went wrong, 2 bad configuration or command line\n",
	       program, about, program, default_config);
}

void daemon_options_parse(int argc, char **argv, const char *default_config, const char *about,
			  struct daemon_options *ret)
{
	enum {
		OPT_CONFIG = 256,
		OPT_CHECK,
		OPT_ONCE,
		OPT_DRY_RUN,
		OPT_MODEL,
		OPT_DEBUG,
		OPT_VERSION
	};
	static const struct option options[] = {
		{"config", required_argument, NULL, OPT_CONFIG},
		{"check", no_argument, NULL, OPT_CHECK},
		{"once", no_argument, NULL, OPT_ONCE},
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"model", required_argument, NULL, OPT_MODEL},
		{"debug", no_argument, NULL, OPT_DEBUG},
		{"version", no_argument, NULL, OPT_VERSION},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *program = base_name(argv[0]);
	int c;

	*ret = (struct daemon_options){.config = default_config};
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_CONFIG:
			ret->config = optarg;
			break;
		case OPT_CHECK:
			ret->check = true;
			break;
		case OPT_ONCE:
			ret->once = true;
			break;
		case OPT_DRY_RUN:
			ret->dry_run = true;
			break;
		case OPT_MODEL:
			ret->model = optarg;
			break;
		case OPT_DEBUG:
			ret->debug = true;
			log_set_level(LOG_LEVEL_DEBUG);
			break;
		case OPT_VERSION:
			printf("%s %s\n", program, BYWAY_VERSION);
			exit(EXIT_OK);
		case 'h':
			usage(program, about, default_config);
			exit(EXIT_OK);
		default:
			exit(EXIT_CONFIG);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument \"%s\"\n", program, argv[optind]);
		exit(EXIT_CONFIG);
	}
	if (ret->dry_run && !ret->once) {
		fprintf(stderr, "%s: --dry-run goes with --once\n", program);
		exit(EXIT_CONFIG);
	}
	if (ret->model && !ret->dry_run) {
		fprintf(stderr, "%s: --model goes with --once --dry-run\n", program);
		exit(EXIT_CONFIG);
	}
}

void daemon_real_time(void)
{
	const struct sched_param param = {.sched_priority = REAL_TIME_PRIORITY};

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) < 0)
		log_warn("not in real time: on a busy node exits may look dead", "why=\"%s\"",
			 strerror(errno));
}

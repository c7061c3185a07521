#pragma once
/* What the main.c of every program shares: options and exit codes. */

#include <stdbool.h>

/* Exit statuses, documented in each --help. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1, /* the world's fault: kernel, peer, missing right */
	EXIT_CONFIG = 2,  /* bad configuration or command line; nothing was changed */
};

struct daemon_options {
	const char *config; /* --config FILE */
	const char *model;  /* --model FILE */
	bool check;	    /* --check: validate the configuration and leave */
	bool once;	    /* --once: bring about the desired state and leave */
	bool dry_run;	    /* --dry-run: print the plan instead of carrying it out */
	bool debug;	    /* --debug */
};

/* Parses; prints usage (--help), version (--version) or one line about a mistake and leaves the
 * program itself with EXIT_OK or EXIT_CONFIG. `about` is one sentence for --help. */
void daemon_options_parse(int argc, char **argv, const char *default_config, const char *about,
			  struct daemon_options *ret);

/* Runs the program, but not what it starts, in real time (SCHED_RR), between keepalived and conntrackd
 * (lib/ha/conf.c): who measures others must not wait for the processor, or it measures its own wait.
 * Without the right to it (CAP_SYS_NICE) a warning is logged and the program runs as it is. */
void daemon_real_time(void);

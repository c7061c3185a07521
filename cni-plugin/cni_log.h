#pragma once
/* The log that `logFile` names: a line for each command when it ends, and what its verb has to say
 * in between, all of lib's log.h. Where the key is not set or the file cannot be opened there is no
 * log, and never anything on standard output: a log is no reason for a command to fail.
 */

#include <time.h>

#include "env.h"

struct cni_log {
	int fd; /* -1: none */
	struct timespec began;
	char network[64];
};

/* Begins to measure. */
struct cni_log cni_log_begin(void);

/* Reads `logFile` and `logLevel` of a configuration that may be wrong in all other respects. */
void cni_log_open(struct cni_log *log, const struct cni_env *env, const struct config_text *text);

/* The line of the command: level info where it succeeded, else error with the words of `err`. */
void cni_log_end(const struct cni_log *log, const struct cni_env *env, enum cni_code code,
		 const struct err *err);

void cni_log_close(struct cni_log *log);
#define auto_cni_log __attribute__((cleanup(cni_log_close)))

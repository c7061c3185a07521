#pragma once
/* A program that is given its input, answers, and exits, in bounded time. */

#include <stddef.h>

#include "err.h"

/* Longer output is refused. */
#define CHILD_OUTPUT_MAX (1U << 20)

struct child_end {
	int status;   /* as of waitpid() */
	char *output; /* terminated, never NULL */
	size_t len;
};

void child_end_clear(struct child_end *end);
#define auto_child_end __attribute__((cleanup(child_end_clear)))

/* Runs `file` with `input` on its standard input and the environment `envp`; its stderr is ours.
 * Failure is: not started (errno of exec), -EFBIG, or -ETIMEDOUT after `patience_ms`; then it has
 * been killed, and `ret` is not filled. */
int child_run(const char *file, char *const envp[], const char *input, int patience_ms,
	      struct child_end *ret, struct err *err);

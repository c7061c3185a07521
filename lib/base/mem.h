#pragma once
/* Allocation that aborts: no caller can do anything sensible about a lack of memory. */

#include <stddef.h>

/* Returns n zeroed elements of `size` bytes. The caller owns them (free). Never NULL. */
void *xcalloc(size_t n, size_t size);

/* Grows an array; the added part is not zeroed. Never NULL. */
void *xreallocarray(void *p, size_t n, size_t size);

char *xstrdup(const char *s);

/* printf into a new string, owned by the caller. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

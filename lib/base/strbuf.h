#pragma once
/* A growing string, for what is generated: rulesets, daemon configurations, plans, metrics. */

#include <stddef.h>

struct strbuf {
	char *s;    /* always terminated once something was added; NULL before */
	size_t len; /* bytes without the terminator */
	size_t cap;
};

void strbuf_add(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text so far, never NULL; valid until the next call on `b`. */
const char *strbuf_text(const struct strbuf *b);

/* Hands the string to the caller (free); `b` is empty afterwards. Never NULL. */
char *strbuf_steal(struct strbuf *b);

void strbuf_free(struct strbuf *b);
#define auto_strbuf __attribute__((cleanup(strbuf_free)))

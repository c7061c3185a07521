#pragma once
/* The error value: it lives on the caller's stack and travels as the last parameter.
 *
 * A function that can fail because of the world returns 0 or a negative errno and fills `err`.
 * The place that knows the cause calls err_set(); each layer above may add one context with
 * err_wrap(), so that the final text reads from the outside in:
 *
 *	network vpn: vxlan vx-vpn: Numerical result out of range (kernel: vni in use)
 *
 * Programmer errors are asserts, lack of memory aborts: neither is ever reported this way.
 */

struct err {
	int code;	/* negative errno, 0 while nothing has failed */
	char text[256]; /* one line, no newline, truncated where too long */
};

/* Records the cause. `code` is a negative errno. Returns `code`, so that it can be returned. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Like err_set() with ": strerror(-code)" behind the text. */
int err_errno(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of what is there. Returns err->code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#pragma once
/* logfmt on stderr: `ts=… level=info msg="promoted" exit=nl took_ms=12`. The layer that decides
 * logs once; nothing in lib/ logs above debug. Secrets are never arguments of a log call. */

#include <stddef.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below `level` are dropped. Default: info. */
void log_set_level(enum log_level level);

/* Where lines go instead of stderr: a descriptor, not owned, or -1 for nowhere. */
void log_set_output(int fd);

/* `s` as a value: as it is where it is a plain word, else in quotes, with control characters as
 * '?', so that a line stays a line whoever wrote the text. What does not fit is cut off. Returns
 * `buf`. */
const char *log_value(const char *s, char *buf, size_t size);

/* `msg` is a constant sentence; `fmt` makes the logfmt pairs behind it ("exit=%s took_ms=%d"), ""
 * for none. A value that may have spaces goes through log_value(). The line is one write(). */
void log_line(enum log_level level, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(msg, ...) log_line(LOG_LEVEL_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...)  log_line(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...)  log_line(LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) log_line(LOG_LEVEL_ERROR, msg, __VA_ARGS__)

#pragma once
/* logfmt on stderr: `ts=… level=info msg="promoted" exit=nl took_ms=12`. The layer that decides
 * logs once; nothing in lib/ logs above debug. Secrets are never arguments of a log call. */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below `level` are dropped. Default: info. */
void log_set_level(enum log_level level);

/* `msg` is a constant sentence; `fmt` makes the logfmt pairs behind it ("exit=%s took_ms=%d"), ""
 * for none. A value with spaces is the caller's to quote. */
void log_line(enum log_level level, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(msg, ...) log_line(LOG_LEVEL_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...)  log_line(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...)  log_line(LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) log_line(LOG_LEVEL_ERROR, msg, __VA_ARGS__)

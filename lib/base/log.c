#include "log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;
static int output = STDERR_FILENO;

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_DEBUG:
		return "debug";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_WARN:
		return "warn";
	case LOG_LEVEL_ERROR:
		return "error";
	}
	return "?";
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_set_output(int fd)
{
	output = fd;
}

static bool is_plain(const char *s)
{
	size_t n = 0;

	while (s[n] > ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '=' && s[n] != '\\')
		n++;
	return n && !s[n];
}

const char *log_value(const char *s, char *buf, size_t size)
{
	size_t n = 0;

	assert(size >= 3);
	if (is_plain(s)) {
		snprintf(buf, size, "%s", s);
		return buf;
	}
	buf[n++] = '"';
	/* Room for an escaped character, the quote and the end. */
	for (; *s && n + 4 <= size; s++) {
		if (*s == '"' || *s == '\\')
			buf[n++] = '\\';
		buf[n++] = (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s;
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}

void log_line(enum log_level level, const char *msg, const char *fmt, ...)
{
	char line[2048], stamp[32];
	struct timespec now;
	struct tm tm;
	va_list ap;
	size_t n;

	if (level < threshold || output < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	n = (size_t)snprintf(line, sizeof(line), "ts=%s.%03ldZ level=%s msg=\"%s\" ", stamp,
			     now.tv_nsec / 1000000, level_name(level), msg);
	if (n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	n = strnlen(line, sizeof(line) - 1);
	line[n] = '\n';
	if (write(output, line, n + 1) < 0)
		return; /* nobody to tell */
}

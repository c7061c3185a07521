#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "notify.h"
#include "strbuf.h"

static void record(const char *instance, enum ha_state state, void *data)
{
	strbuf_add(data, "%s=%s ", instance, ha_state_name(state));
}

/* What is recorded when `text` comes in pieces of `piece` bytes. */
static void assert_parsed(const char *text, size_t piece, const char *expected)
{
	auto_strbuf struct strbuf seen = {0};
	struct notify_parser parser = {0};
	size_t n = strlen(text);

	for (size_t at = 0; at < n; at += piece)
		notify_parse(&parser, text + at, n - at < piece ? n - at : piece, record, &seen);
	assert_string_equal(strbuf_text(&seen), expected);
}

static void test_states_in_any_pieces(void **state)
{
	static const char text[] = "INSTANCE \"vip\" BACKUP 100\n"
				   "INSTANCE \"vip\" MASTER 100\n"
				   "INSTANCE \"se\" FAULT 100\n"
				   "INSTANCE \"se\" MASTER_RX_LOWER_PRI 150\n"
				   "INSTANCE \"vip\" STOP 100\n";

	(void)state;
	for (size_t piece = 1; piece <= sizeof(text); piece++)
		assert_parsed(text, piece, "vip=backup vip=master se=fault se=contested vip=init ");
}

static void test_lines_of_no_interest(void **state)
{
	(void)state;
	assert_parsed("GROUP \"g\" MASTER 100\n"
		      "INSTANCE \"vip\" BACKUP_PRIORITY 99\n"
		      "INSTANCE \"vip MASTER 100\n"
		      "INSTANCE \"vip\"MASTER 100\n"
		      "\n"
		      "INSTANCE \"vip\" MASTER\n",
		      7, "vip=master ");
}

static void test_line_without_end(void **state)
{
	char text[4 * NOTIFY_LINE_MAX];
	size_t n = 3 * NOTIFY_LINE_MAX;

	(void)state;
	memset(text, 'x', n);
	snprintf(text + n, sizeof(text) - n,
		 "INSTANCE \"vip\" MASTER 100\nINSTANCE \"vip\" FAULT 1\n");
	assert_parsed(text, 5, "vip=fault ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_in_any_pieces),
		cmocka_unit_test(test_lines_of_no_interest),
		cmocka_unit_test(test_line_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

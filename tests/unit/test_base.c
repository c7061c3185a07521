#include "test.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "err.h"
#include "log.h"
#include "strbuf.h"

static void test_err_reads_from_outside_in(void **state)
{
	struct err err = {0};

	assert_int_equal(err_errno(&err, -ENOENT, "vxlan %s", "vx-vpn"), -ENOENT);
	assert_int_equal(err_wrap(&err, "network %s", "vpn"), -ENOENT);
	assert_string_equal(err.text, "network vpn: vxlan vx-vpn: No such file or directory");
}

static void test_err_truncates(void **state)
{
	char text[2 * sizeof(((struct err *)0)->text)];
	struct err err = {0};

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, -EINVAL, "%s", text);
	err_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_strbuf(void **state)
{
	auto_strbuf struct strbuf b = {0};
	auto_free char *s = NULL;

	assert_string_equal(strbuf_text(&b), "");
	for (int i = 0; i < 1000; i++)
		strbuf_add(&b, "%04d", i);
	assert_int_equal(b.len, 4000);
	s = strbuf_steal(&b);
	assert_memory_equal(s + 3996, "0999", 5);
	assert_int_equal(b.len, 0);
}

static void assert_value(const char *s, size_t size, const char *wanted)
{
	char buf[64];

	assert_true(size <= sizeof(buf));
	memset(buf, 'x', sizeof(buf));
	assert_ptr_equal(log_value(s, buf, size), buf);
	assert_string_equal(buf, wanted);
}

static void test_log_value(void **state)
{
	assert_value("net1", 64, "net1");
	assert_value("", 64, "\"\"");
	assert_value("two words", 64, "\"two words\"");
	assert_value("a=b", 64, "\"a=b\"");
	assert_value("say \"no\" \\", 64, "\"say \\\"no\\\" \\\\\"");
	assert_value("a\nlevel=info\x7f", 64, "\"a?level=info?\"");
	assert_value("gr\xc3\xbc\xc3\x9f", 64, "\"gr\xc3\xbc\xc3\x9f\"");
	/* Cut off, and closed all the same. */
	assert_value("abcdef", 4, "abc");
	assert_value("a b c d", 3, "\"\"");
	assert_value("a b c d", 7, "\"a b\"");
	assert_value("\"\"\"\"\"\"", 8, "\"\\\"\\\"\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_value),
		cmocka_unit_test(test_err_reads_from_outside_in),
		cmocka_unit_test(test_err_truncates),
		cmocka_unit_test(test_strbuf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

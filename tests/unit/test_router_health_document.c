#include "test.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "health_document.h"

static int parse(const char *text, struct health_document *ret)
{
	struct err err;

	return health_document_parse(text, strlen(text), ret, &err);
}

static void test_good(void **state)
{
	struct health_document document;

	assert_int_equal(parse("{\"exit\":\"nl\",\"state\":\"up\",\"since\":12,"
			       "\"publicAddress\":null,\"weight\":3}",
			       &document),
			 0);
	assert_string_equal(document.name, "nl");
	assert_int_equal(document.answer, ANSWER_UP);
	assert_int_equal(document.weight, 3);
	assert_int_equal(parse("{\"exit\":\"se-2\",\"state\":\"starting\"}", &document), 0);
	assert_int_equal(document.answer, ANSWER_STARTING);
	assert_int_equal(document.weight, 1);
	assert_int_equal(
		parse("{\"state\":\"down\",\"exit\":\"a\",\"later\":[[{\"[\":\"]\"}]]}", &document),
		0);
	assert_int_equal(document.answer, ANSWER_DOWN);
}

static void test_bad(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"null",
		"{}",
		"{\"exit\":\"nl\"}",
		"{\"state\":\"up\"}",
		"{\"exit\":\"nl\",\"state\":\"fine\"}",
		"{\"exit\":\"nl\",\"state\":true}",
		"{\"exit\":\"\",\"state\":\"up\"}",
		"{\"exit\":\"n\\\"l\",\"state\":\"up\"}",
		"{\"exit\":\"sixteen-is-a-lot\",\"state\":\"up\"}",
		"{\"exit\":\"nl\",\"state\":\"up\",\"weight\":-1}",
		"{\"exit\":\"nl\",\"state\":\"up\",\"weight\":1.5}",
		"{\"exit\":\"nl\",\"state\":\"up\",\"weight\":1001}",
		"{\"exit\":\"nl\",\"state\":\"up\",\"state\":\"down\"}",
		"{\"exit\":\"nl\",\"state\":\"up\"} x",
		"{\"a\":[[[[[[[[]]]]]]]],\"exit\":\"nl\",\"state\":\"up\"}",
	};
	struct health_document document;

	for (size_t i = 0; i < array_len(texts); i++) {
		if (parse(texts[i], &document) == 0)
			fail_msg("taken: %s", texts[i]);
	}
}

static void test_too_large(void **state)
{
	char text[HEALTH_DOCUMENT_MAX + 2];
	struct health_document document;

	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "{\"exit\":\"nl\",\"state\":\"up\"}", 26);
	assert_int_equal(parse(text, &document), -EFBIG);
	text[HEALTH_DOCUMENT_MAX] = '\0';
	assert_int_equal(parse(text, &document), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

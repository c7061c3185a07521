/* The valid attachments of GC: what is said, by which key, and what is not the same as saying
 * "none". */
#include "test.h"

#include <string.h>

#include "cleanup.h"
#include "gc.h"
#include "netconf.h"

static void load(const char *json, struct gc_list *list)
{
	auto_config_text struct config_text text = {0};
	struct err err = {0};

	assert_int_equal(netconf_parse(json, strlen(json), &text, &err), CNI_OK);
	if (gc_list_load(&text, list, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_nothing_is_said(void **state)
{
	static const char *const texts[] = {
		"{}", "{\"cni.dev/valid-attachments\":null,\"cni.dev/attachments\":null}"};

	for (size_t i = 0; i < array_len(texts); i++) {
		auto_gc_list struct gc_list list = {0};

		load(texts[i], &list);
		assert_false(list.given);
		assert_false(gc_list_has(&list, "a", "net1"));
	}
}

static void test_none_is_said(void **state)
{
	auto_gc_list struct gc_list new = {0}, old = {0};

	load("{\"cni.dev/valid-attachments\":[]}", &new);
	load("{\"cni.dev/attachments\":[]}", &old);
	assert_true(new.given &&old.given);
	assert_false(gc_list_has(&new, "a", "net1"));
}

static void test_some_are_said(void **state)
{
	auto_gc_list struct gc_list list = {0};

	load("{\"cni.dev/valid-attachments\":["
	     "{\"containerID\":\"b\",\"ifname\":\"net1\"},"
	     "{\"containerid\":\"a\",\"IfName\":\"net2\",\"more\":1},"
	     "{\"containerID\":\"a\",\"ifname\":\"net1\"}],"
	     "\"cni.dev/attachments\":[{\"containerID\":\"c\",\"ifname\":\"net1\"}]}",
	     &list);
	assert_true(gc_list_has(&list, "a", "net1"));
	assert_true(gc_list_has(&list, "a", "net2"));
	assert_true(gc_list_has(&list, "b", "net1"));
	assert_true(gc_list_has(&list, "c", "net1"));
	assert_false(gc_list_has(&list, "b", "net2"));
	assert_false(gc_list_has(&list, "an", "et1"));
	assert_false(gc_list_has(&list, "", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_said),
		cmocka_unit_test(test_none_is_said),
		cmocka_unit_test(test_some_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

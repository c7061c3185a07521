#include "test.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "cleanup.h"
#include "config.h"

struct item {
	char *name;
	unsigned int port;
};

struct sample {
	char *label;
	unsigned int interval_ms;
	struct addr vip;
	struct config_array items;
	char ifname[IFNAMSIZ];
	bool on;
	int mode;
};

static const struct config_bounds ports = {1, 65535}, times = {10, 60000};
static const unsigned int label_max = 12;
static const char *const modes[] = {"auto", "kernel", NULL};

static const struct config_field item_fields[] = {
	{"name", config_string, offsetof(struct item, name), NULL, true},
	{"port", config_uint, offsetof(struct item, port), &ports, false},
};
static const struct config_object item_object = {item_fields, array_len(item_fields)};
static const struct config_list items = {config_object, &item_object, sizeof(struct item), 3, NULL};
static const struct config_field fields[] = {
	{"label", config_label, offsetof(struct sample, label), &label_max, false},
	{"interval", config_duration, offsetof(struct sample, interval_ms), &times, false},
	{"vip", config_addr, offsetof(struct sample, vip), NULL, false},
	{"items", config_list, offsetof(struct sample, items), &items, false},
	{"interface", config_ifname, offsetof(struct sample, ifname), NULL, false},
	{"on", config_bool, offsetof(struct sample, on), NULL, false},
	{"mode", config_enum, offsetof(struct sample, mode), modes, false},
};
static const struct config_object object = {fields, array_len(fields)};

static void sample_free(struct sample *s)
{
	struct item *list = s->items.items;

	for (size_t i = 0; list && i < s->items.n; i++)
		free(list[i].name);
	free(list);
	free(s->label);
}

static int decode(const char *text, struct sample *s, struct err *err)
{
	auto_config_text struct config_text t = {0};
	struct config_value root;
	int r = config_text_parse("f.json", text, &t, err);

	if (r < 0)
		return r;
	root = config_root(&t);
	return config_object(&root, s, &object, err);
}

static void test_good(void **state)
{
	struct sample s = {.on = true};
	struct err err = {0};
	struct item *list;

	assert_int_equal(decode("{\"label\":\"vpn-1\",\"interval\":\"2s\",\"vip\":\"10.0.0.1\",\n"
				"\"items\":[{\"name\":\"a\",\"port\":80},{\"name\":\"b\"}],\n"
				"\"interface\":\"net1\",\"on\":false,\"mode\":\"kernel\"}",
				&s, &err),
			 0);
	list = s.items.items;
	assert_string_equal(s.label, "vpn-1");
	assert_int_equal(s.interval_ms, 2000);
	assert_int_equal(s.items.n, 2);
	assert_int_equal(list[0].port, 80);
	assert_string_equal(list[1].name, "b");
	assert_string_equal(s.ifname, "net1");
	assert_false(s.on);
	assert_int_equal(s.mode, 1);
	sample_free(&s);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"{\n\"a\":1}", "f.json:2: a: unknown key"},
		{"[]", "f.json:1: must be an object"},
		{"{\"on\":1}", "f.json:1: on: must be true or false"},
		{"{\"label\":\"UPPER\"}", "f.json:1: label: \"UPPER\" is not a name"},
		{"{\"label\":\"thirteen-long\"}", "is not a name of up to 12"},
		{"{\"label\":\"\"}", "f.json:1: label: must not be empty"},
		{"{\"vip\":\"10.0.0\"}", "f.json:1: vip: \"10.0.0\" is not an address"},
		{"{\"interval\":500}", "f.json:1: interval: must be a string"},
		{"{\"interval\":\"5\"}", "is not a duration"},
		{"{\"interval\":\"-5s\"}", "is not a duration"},
		{"{\"interval\":\"99999999999999999999s\"}", "is not within 10ms to 60000ms"},
		{"{\"interval\":\"1ms\"}", "is not within 10ms to 60000ms"},
		{"{\"interface\":\"a/b\"}", "is not an interface name"},
		{"{\"interface\":\"sixteencharacter\"}", "is not an interface name"},
		{"{\"mode\":\"x\"}", "f.json:1: mode: \"x\" is none of auto, kernel"},
		{"{\"items\":{}}", "f.json:1: items: must be a list"},
		{"{\"items\":[1]}", "f.json:1: items[0]: must be an object"},
		{"{\n\"items\":[\n{\"name\":\"a\"},\n{\"name\":\"{]\\\"\",\n\"port\":70000}]}",
		 "f.json:5: items[1].port: 70000 is not within 1 to 65535"},
		{"{\"label\":\"x\",\n\"items\":[{\"name\":\"label\"},\n{\"port\":5}]}",
		 "f.json:3: items[1]: key \"name\" is missing"},
		{"{\"items\":[{\"name\":\"a\"},{\"name\":\"a\"},{\"name\":\"a\"},{\"name\":\"a\"}]}",
		 "f.json:1: items: 4 elements, at most 3"},
		{"{\"on\":true,\n\"on\":true}", "f.json:2: duplicate object key"},
		{"{\"on\":tru", "f.json:1:"},
		{"", "f.json:1:"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		struct sample s = {0};
		struct err err = {0};

		assert_int_equal(decode(cases[i].text, &s, &err), -EINVAL);
		if (!strstr(err.text, cases[i].message))
			fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].text, err.text,
				 cases[i].message);
		sample_free(&s);
	}
}

static void test_error_at(void **state)
{
	static const char text[] =
		"{\"items\":[{},\n{\n\"name\":\"x\",\n\"ports\":[[1,\n2]]}],\n\"on\":true}";
	static const struct {
		struct config_path path;
		const char *message;
	} cases[] = {
		{{"on"}, "f:6: on: clash of 2"},
		{{"items"}, "f:1: items: clash of 2"},
		{{"items[1].name"}, "f:3: items[1].name: clash of 2"},
		{{"items[1].ports[0][1]"}, "f:5: items[1].ports[0][1]: clash of 2"},
		/* What does not exist, or is of another type than the path has it. */
		{{""}, "f:1: clash of 2"},
		{{"off"}, "f:1: clash of 2"},
		{{"off[0].name"}, "f:1: clash of 2"},
		{{"items[0].name"}, "f:1: items[0]: clash of 2"},
		{{"items[2].name"}, "f:1: items: clash of 2"},
		{{"items[18446744073709551616]"}, "f:1: items: clash of 2"},
		{{"items[-1]"}, "f:1: items: clash of 2"},
		{{"items.name"}, "f:1: items: clash of 2"},
		{{"items[1].name.x"}, "f:3: items[1].name: clash of 2"},
		{{"on[0]"}, "f:6: on: clash of 2"},
	};
	auto_config_text struct config_text t = {0};
	struct err err = {0};

	assert_int_equal(config_text_parse("f", text, &t, &err), 0);
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(config_error_at(&t, cases[i].path, &err, "clash of %d", 2),
				 -EINVAL);
		assert_string_equal(err.text, cases[i].message);
	}
	config_error_at(&t, config_path("%s[%zu].name", "items", (size_t)1), &err, "clash");
	assert_string_equal(err.text, "f:3: items[1].name: clash");
}

/* A key that is spelt with escapes is not looked for in the text: the line is its object's, and
 * nothing else is taken for the key, or for brackets and quotes. */
static void test_escaped_key(void **state)
{
	static const struct {
		const char *text;
		struct config_path path;
		const char *message;
	} cases[] = {
		{"{\n\"\\u0069tems\":\n[1]}", {"items[0]"}, "f:1: items[0]: clash"},
		{"{\"on\":\n{\"\\u0069tems\":\n[1]}}", {"on.items[0]"}, "f:2: on.items[0]: clash"},
		{"{\n\"Y{\\\"z\":1,\"\\u0069tems\":[1]}", {"items[0]"}, "f:1: items[0]: clash"},
		{"{\n\"a\\b\":\"{\",\n\"a\\\\b\":[1]}", {"a\\b[0]"}, "f:1: a\\b[0]: clash"},
		{"{\n\"a\":\"\",\n\"a\\\":\\\"\":[1]}", {"a\":\"[0]"}, "f:1: a\":\"[0]: clash"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_config_text struct config_text t = {0};
		struct err err = {0};

		assert_int_equal(config_text_parse("f", cases[i].text, &t, &err), 0);
		config_error_at(&t, cases[i].path, &err, "clash");
		assert_string_equal(err.text, cases[i].message);
	}
}

static void test_load(void **state)
{
	auto_config_text struct config_text t = {0};
	struct err err = {0};

	assert_int_equal(config_text_load("/nowhere.json", &t, &err), -ENOENT);
	assert_string_equal(err.text, "/nowhere.json: No such file or directory");
	assert_int_equal(config_text_load("/dev/null", &t, &err), -EINVAL);
	assert_string_equal(err.text, "/dev/null: not a regular file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_refused),
		cmocka_unit_test(test_error_at), cmocka_unit_test(test_escaped_key),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

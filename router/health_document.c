#include "health_document.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* jansson recurses up to 2048 levels; a document from the network gets fewer. */
static bool too_deep(const char *bytes, size_t n)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			if (bytes[i] == '\\')
				i++;
			else
				in_string = bytes[i] != '"';
		} else if (bytes[i] == '"') {
			in_string = true;
		} else if (bytes[i] == '{' || bytes[i] == '[') {
			if (++depth > HEALTH_DEPTH_MAX)
				return true;
		} else if ((bytes[i] == '}' || bytes[i] == ']') && depth) {
			depth--;
		}
	}
	return false;
}

static int state_parse(const json_t *json, enum exit_answer *ret, struct err *err)
{
	const char *state = json_string_value(json);

	if (!state)
		return err_set(err, -EINVAL, "health document: no state");
	if (!strcmp(state, "up"))
		*ret = ANSWER_UP;
	else if (!strcmp(state, "starting"))
		*ret = ANSWER_STARTING;
	else if (!strcmp(state, "down"))
		*ret = ANSWER_DOWN;
	else
		return err_set(err, -EINVAL, "health document: unknown state");
	return 0;
}

/* The name ends up in logs and metrics: a label or nothing. */
static int name_parse(const json_t *json, char ret[static EXIT_NAME_MAX], struct err *err)
{
	const char *name = json_string_value(json);
	size_t n = name ? strlen(name) : 0;

	if (!n || n >= EXIT_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
		return err_set(err, -EINVAL, "health document: no name of an exit");
	memcpy(ret, name, n + 1);
	return 0;
}

static int weight_parse(const json_t *json, unsigned int *ret, struct err *err)
{
	json_int_t weight = json ? json_integer_value(json) : 1;

	if ((json && !json_is_integer(json)) || weight < 0 || weight > HEALTH_WEIGHT_MAX)
		return err_set(err, -EINVAL, "health document: weight is not within 0 to %d",
			       HEALTH_WEIGHT_MAX);
	*ret = (unsigned int)weight;
	return 0;
}

int health_document_parse(const char *bytes, size_t n, struct health_document *ret, struct err *err)
{
	json_auto_t *root = NULL;
	json_error_t e;
	int r;

	if (n > HEALTH_DOCUMENT_MAX || too_deep(bytes, n))
		return err_set(err, -EFBIG, "health document: too large or too deep");
	root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &e);
	if (!json_is_object(root))
		return err_set(err, -EINVAL, "health document: not a JSON object");
	r = state_parse(json_object_get(root, "state"), &ret->answer, err);
	if (r >= 0)
		r = name_parse(json_object_get(root, "exit"), ret->name, err);
	return r < 0 ? r : weight_parse(json_object_get(root, "weight"), &ret->weight, err);
}

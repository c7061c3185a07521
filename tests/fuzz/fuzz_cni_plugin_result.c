/* prevResult, in a configuration of each version. What is accepted is formatted in every version
 * that can express it, and what was formatted must be readable, and format to the same again. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "netconf.h"
#include "result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const char *document, enum cni_version version)
{
	auto_config_text struct config_text text = {0};
	auto_result struct result result = {0};
	auto_free char *again = NULL;
	struct config_value root;
	struct err err = {0};

	if (config_text_parse("result", document, &text, &err) < 0)
		abort();
	root = config_root(&text);
	if (result_decode(&root, version, &result, &err) < 0)
		abort();
	again = result_format(&result, version);
	if (strcmp(document, again) != 0)
		abort();
}

static void format(const struct result *result)
{
	for (size_t i = 0; i < CNI_VERSIONS; i++) {
		enum cni_version version = (enum cni_version)i;
		auto_free char *document = NULL;
		struct err err = {0};

		if (result_fits(result, false, version, &err) < 0)
			continue;
		document = result_format(result, version);
		read_again(document, version);
	}
}

static void previous(const struct config_text *text)
{
	for (size_t i = 0; i < CNI_VERSIONS; i++) {
		auto_result struct result result = {0};
		struct err err = {0};

		if (result_previous(text, (enum cni_version)i, &result, &err) == 0)
			format(&result);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_config_text struct config_text text = {0};
	auto_free char *s = xcalloc(size + 1, 1);
	struct err err = {0};

	memcpy(s, data, size);
	if (netconf_parse(s, size, &text, &err) == CNI_OK)
		previous(&text);
	return 0;
}

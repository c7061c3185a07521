/* A link's alias is whatever somebody with the right to change it wrote. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "isolation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *alias = malloc(size + 1), again[512] = "byway c/i";
	struct isolation_entry entry = {0}, back = {0};

	if (!alias)
		return 0;
	memcpy(alias, data, size);
	alias[size] = '\0';
	if (isolation_alias_parse(alias, &entry)) {
		isolation_alias_append(&entry, again, sizeof(again));
		if (!isolation_alias_parse(again, &back) || !mac_equal(&entry.mac, &back.mac) ||
		    !addr_equal(&entry.addr, &back.addr))
			abort();
	}
	free(alias);
	return 0;
}

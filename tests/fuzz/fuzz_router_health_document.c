/* Health documents come from whoever answers at an exit's address. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "health_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size); /* of exactly this size, so that reading behind it shows */
	struct health_document document = {0};
	struct err err;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (health_document_parse(copy, size, &document, &err) == 0 &&
	    (document.answer == ANSWER_NONE || !document.name[0] ||
	     document.weight > HEALTH_WEIGHT_MAX))
		abort();
	free(copy);
	return 0;
}

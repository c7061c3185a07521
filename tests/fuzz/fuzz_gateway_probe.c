/* Echo answers come from whoever is behind the tunnel. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size); /* of exactly this size, so that reading behind it shows */
	struct probe_answer answer;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (probe_answer_parse(copy, size, &answer) && answer.from.family != AF_INET)
		abort();
	free(copy);
	return 0;
}

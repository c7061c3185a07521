/* keepalived's fifo: pieces of any length, the first byte says how long. conntrackd's statistics.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flowsync.h"
#include "notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_state(const char *instance, enum ha_state state, void *data)
{
	if (strlen(instance) >= NOTIFY_LINE_MAX || !ha_state_name(state)[0])
		abort();
}

static void feed(const uint8_t *data, size_t size, size_t piece)
{
	struct notify_parser parser = {0};

	for (size_t at = 0; at < size; at += piece)
		notify_parse(&parser, (const char *)data + at,
			     size - at < piece ? size - at : piece, on_state, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(size + 1, 1);
	uint64_t received;

	if (!text)
		return 0;
	if (size > 1)
		feed(data + 1, size - 1, (size_t)data[0] + 1);
	memcpy(text, data, size);
	flowsync_received(text, &received);
	free(text);
	return 0;
}

/* wg-quick files come from providers. Beside memory errors it looks for messages that show more
 * than they may: a value of the file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wgquick.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wgquick cleared;
	struct err err = {0};
	struct wgquick q;

	if (wgquick_parse("f", (const char *)data, size, &q, &err) == 0) {
		if (!q.n_peers || !wgquick_ipv4(&q) || wg_key_is_zero(&q.private_key))
			abort();
		wgquick_clear(&q);
	} else if (strlen(err.text) > 100 || strncmp(err.text, "f:", 2) != 0) {
		abort();
	}
	if (memcmp(&q, &cleared, sizeof(q)) != 0)
		abort();
	return 0;
}

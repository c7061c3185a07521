/* What a delegate of the CNI plugin writes: the first byte is the version of the configuration, the
 * rest its answer. What is taken as a result is written in each version that can express it, and what
 * was written is read again as the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ipam.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const struct result *r, enum cni_version version)
{
	auto_result struct result again = {0};
	auto_free char *text = NULL, *same = NULL;
	struct err err = {0};

	if (result_fits(r, false, version, &err) < 0)
		return;
	text = result_format(r, version);
	assert(ipam_decode_result(text, strlen(text), CNI_VERSION_NEWEST, &again, &err) == 0);
	same = result_format(&again, version);
	assert(!strcmp(text, same));
}

static void use(const struct result *r, int role)
{
	const struct prefix ten = {.addr = {AF_INET, {10}}, .len = 8};
	struct netconf c = {
		.role = role,
		.subnet = {.addr = {AF_INET, {192, 168, 50}}, .len = 24},
		.vip = {AF_INET, {192, 168, 50, 240}},
		.intranet = {(void *)&ten, 1},
		.ipam_type = (char *)"fuzz",
	};
	auto_attachment struct attachment link = {0};
	struct err err = {0};

	if (ipam_use(&c, r, &link, &err))
		return;
	assert(netconf_is_host(&c, &link.addr.addr) && !addr_equal(&link.addr.addr, &c.vip));
	for (size_t i = 0; role == ROLE_CLIENT && i < link.n_routes; i++)
		assert(prefix_contains(&ten, &link.routes[i].dst.addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xcalloc(size + 1, 1);
	auto_result struct result r = {0};
	struct err err = {0};
	size_t len = size ? size - 1 : 0;

	if (size)
		memcpy(text, data + 1, len);
	ipam_decode_error(text, len, &err);
	if (ipam_decode_result(text, len, (enum cni_version)(size ? data[0] % CNI_VERSIONS : 0), &r,
			       &err) < 0)
		return 0;
	for (size_t version = 0; version < CNI_VERSIONS; version++)
		write_and_read(&r, (enum cni_version)version);
	use(&r, ROLE_CLIENT);
	use(&r, ROLE_ROUTER);
	return 0;
}

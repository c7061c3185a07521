/* /proc/net/ip_vs_conn: the kernel's own, but with what clients said in it (a persistence engine's data). */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipvs_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(const struct ipvs_conn *conn, void *data, struct err *err)
{
	sa_family_t family = conn->client.addr.family;

	(void)data, (void)err;
	if ((family != AF_INET && family != AF_INET6) || conn->service.addr.family != family ||
	    conn->server.addr.family != family || conn->expires > 999999999)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *table = size ? fmemopen((void *)data, size, "r") : NULL;
	struct err err;

	if (!table)
		return 0;
	ipvs_conn_read(table, check, NULL, &err);
	fclose(table);
	return 0;
}

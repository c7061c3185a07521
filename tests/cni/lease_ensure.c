/* lease_ensure DIR NETWORK [ROLE RANGE]...: makes a lease table as the node agent does.
 * lease_ensure --list DIR NETWORK: prints who holds what.
 * lease_ensure --take DIR NETWORK CONTAINER IFNAME SECONDS: takes a client's address, that long
 * ago, and leaves it pending, as an ADD does that was killed or is still busy.
 * lease_ensure --fill DIR NETWORK ROLE COUNT: leases for containers that do not exist. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

static void print_lease(const struct lease *lease, void *data)
{
	char text[ADDR_STRLEN];

	printf("%s %s %s %s %s %s\n", addr_format(&lease->addr, text), lease->role,
	       lease->state == LEASE_ACTIVE ? "active" : "pending", lease->container_id,
	       lease->ifname, lease->pod_uid);
}

static int list(const char *dir, const char *network, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	int r = lease_open(dir, network, &table, err);

	if (r == 0)
		lease_each(table, print_lease, NULL);
	return r;
}

static int take(char **argv, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	struct addr addr;
	int r = lease_open(argv[2], argv[3], &table, err);

	return r < 0 ? r
		     : lease_take(table, "client", argv[4], argv[5], "", NULL,
				  lease_now() - atol(argv[6]), &addr, err);
}

static int fill(char **argv, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	int r = lease_open(argv[2], argv[3], &table, err);

	for (long i = 0; r == 0 && i < atol(argv[5]); i++) {
		struct addr addr = {0};
		char container[32];

		snprintf(container, sizeof(container), "held-%ld", i);
		r = lease_take(table, argv[4], container, "net1", "", NULL, lease_now(), &addr,
			       err);
		if (r == 0)
			r = lease_activate(table, container, "net1", err);
	}
	return r;
}

static int ensure(int argc, char **argv, struct err *err)
{
	struct lease_range ranges[16] = {0};
	size_t n = 0;

	for (int i = 3; i + 1 < argc && n < 16; i += 2, n++) {
		snprintf(ranges[n].role, sizeof(ranges[n].role), "%s", argv[i]);
		if (addr_range_parse(argv[i + 1], &ranges[n].range) < 0)
			return err_set(err, -1, "%s: not a range", argv[i + 1]);
	}
	return lease_ensure(argv[1], argv[2], ranges, n, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	int r = -1;

	if (argc == 4 && !strcmp(argv[1], "--list"))
		r = list(argv[2], argv[3], &err);
	else if (argc == 7 && !strcmp(argv[1], "--take"))
		r = take(argv, &err);
	else if (argc == 6 && !strcmp(argv[1], "--fill"))
		r = fill(argv, &err);
	else if (argc >= 3)
		r = ensure(argc, argv, &err);
	if (r < 0)
		fprintf(stderr, "lease_ensure: %s\n", err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

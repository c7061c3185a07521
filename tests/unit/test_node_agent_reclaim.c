/* Which leases are nobody's any more. */
#include "test.h"

#include <stdio.h>

#include "attach.h"
#include "cleanup.h"
#include "reclaim.h"

static const struct {
	const char *name;
	enum lease_state state;
	int64_t age;	   /* seconds */
	const char *alias; /* of the link with the port's name; NULL: there is none */
	bool orphaned;
} cases[] = {
	{"active with its port", LEASE_ACTIVE, 0, "byway c1/net1", false},
	{"active with its port, old", LEASE_ACTIVE, 1000000, "byway c1/net1", false},
	{"active, its port says more", LEASE_ACTIVE, 5, "byway c1/net1 02:bb:00:00:00:01", false},
	{"active, the port's interface is longer", LEASE_ACTIVE, 5, "byway c1/net10", true},
	{"active without a port", LEASE_ACTIVE, 0, NULL, true},
	{"active without a port, old", LEASE_ACTIVE, 1000000, NULL, true},
	{"active, the port's name is another's", LEASE_ACTIVE, 5, "byway c2/net1", true},
	{"active, the port's name is nobody's", LEASE_ACTIVE, 5, "", true},
	{"pending, just reserved", LEASE_PENDING, 0, NULL, false},
	{"pending, an ADD may still run", LEASE_PENDING, RECLAIM_PENDING_GRACE - 1, NULL, false},
	{"pending for too long", LEASE_PENDING, RECLAIM_PENDING_GRACE, NULL, true},
	{"pending for too long, with a port", LEASE_PENDING, 1000, "byway c1/net1", false},
	{"pending since before the boot", LEASE_PENDING, -1000, NULL, true},
	{"active since before the boot", LEASE_ACTIVE, -1000, NULL, true},
};

static void add_link(struct object_list *list, const char *name, const char *alias)
{
	struct object *link = object_list_add(list, OBJECT_LINK);

	snprintf(link->link.name, sizeof(link->link.name), "%s", name);
	snprintf(link->link.alias, sizeof(link->link.alias), "%s", alias);
}

static void test_orphans(void **state)
{
	const int64_t now = 1000000;
	struct attachment port;

	attach_name(&port, "c1", "net1");
	for (size_t i = 0; i < array_len(cases); i++) {
		struct lease lease = {.state = cases[i].state,
				      .container_id = "c1",
				      .ifname = "net1",
				      .since = now - cases[i].age};
		auto_object_list struct object_list links = {0};
		auto_object_index struct object_index index;

		add_link(&links, "br-vpn", "byway");
		if (cases[i].alias)
			add_link(&links, port.port, cases[i].alias);
		object_index_build(&index, &links);
		if (reclaim_orphaned(&lease, &index, now) != cases[i].orphaned)
			fail_msg("%s", cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orphans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

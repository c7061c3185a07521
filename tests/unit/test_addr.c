#include "test.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "cleanup.h"

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct prefix prefix(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static void test_parse(void **state)
{
	static const char *const good[] = {"0.0.0.0/0", "10.0.0.5/24", "2000::/3", "::/0",
					   "fe80::1/128"};
	static const char *const bad[] = {"",
					  "10.0.0.1/33",
					  "10.0.0.1/",
					  "10.0.0.1/-1",
					  "10.0.0/8",
					  "::/129",
					  "10.0.0.1/1 ",
					  " 10.0.0.1",
					  "10.0.0.1/1x",
					  "/8",
					  "10.0.0.1/0008",
					  "1.2.3.4.5"};
	static const char *const bad_ranges[] = {"10.0.0.2-10.0.0.1", "10.0.0.1-::1", "-",
						 "10.0.0.1-", "10.0.0.1-10.0.0.2-10.0.0.3"};
	char buf[PREFIX_STRLEN], rbuf[RANGE_STRLEN];
	struct addr_range r;
	struct prefix p;

	for (size_t i = 0; i < array_len(good); i++) {
		p = prefix(good[i]);
		assert_string_equal(prefix_format(&p, buf), good[i]);
	}
	for (size_t i = 0; i < array_len(bad); i++)
		assert_int_equal(prefix_parse(bad[i], &p), -EINVAL);
	for (size_t i = 0; i < array_len(bad_ranges); i++)
		assert_int_equal(addr_range_parse(bad_ranges[i], &r), -EINVAL);
	assert_int_equal(addr_range_parse("192.168.50.248-192.168.50.254", &r), 0);
	assert_int_equal(addr_range_size(&r), 7);
	assert_string_equal(addr_range_format(&r, rbuf), "192.168.50.248-192.168.50.254");
}

static void test_arithmetic(void **state)
{
	struct addr a = addr("10.0.0.255"), b = addr("2001:db8::ffff:ffff:ffff:ffff"), c;
	struct addr_range all = {addr("::"), addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")};

	c = addr_add(&a, 1);
	assert_true(addr_equal(&c, &(struct addr){AF_INET, {10, 0, 1, 0}}));
	c = addr_add(&c, -1);
	assert_true(addr_equal(&c, &a));
	c = addr_add(&b, 1);
	assert_true(addr_equal(&c, &(struct addr){AF_INET6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1}}));
	assert_int_equal(addr_distance(&b, &c), 1);
	assert_true(addr_range_size(&all) == UINT64_MAX);
	a = addr("10.0.0.1");
	c = addr("10.1.0.0");
	assert_int_equal(addr_distance(&a, &c), 65535);
}

static void test_mac(void **state)
{
	struct addr a = addr("192.168.50.240");
	struct mac m = mac_from_addr(&a), n;
	char buf[MAC_STRLEN];

	assert_string_equal(mac_format(&m, buf), "02:bb:c0:a8:32:f0");
	assert_int_equal(mac_parse("02:BB:c0:a8:32:f0", &n), 0);
	assert_true(mac_equal(&m, &n));
	assert_int_equal(mac_parse("02:bb:c0:a8:32", &n), -EINVAL);
	assert_int_equal(mac_parse("02:bb:c0:a8:32:fg", &n), -EINVAL);
	assert_int_equal(mac_parse("02-bb-c0-a8-32-f0", &n), -EINVAL);
	assert_int_equal(mac_parse("02:bb:c0:a8:32:f0 ", &n), -EINVAL);
	/* Every character in a digit's place. */
	for (int c = 1; c < 256; c++) {
		char text[] = "02:bb:c0:a8:32:f0";

		text[16] = (char)c;
		assert_int_equal(mac_parse(text, &n), isxdigit(c) ? 0 : -EINVAL);
		if (isxdigit(c))
			assert_int_equal(n.bytes[5], 0xf0 | strtol(text + 16, NULL, 16));
	}
}

/* The default plan's split, as the design gives it. */
static void test_default_split(void **state)
{
	static const char *const expected[] = {"0.0.0.0/5",  "8.0.0.0/7",  "11.0.0.0/8",
					       "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3",
					       "64.0.0.0/2", "128.0.0.0/1"};
	struct prefix all = prefix("0.0.0.0/0"), intranet = prefix("10.0.0.0/8");
	auto_free struct prefix *list = NULL;
	char buf[PREFIX_STRLEN];
	size_t n = prefix_complement(&all, &intranet, 1, &list);

	assert_int_equal(n, array_len(expected));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(prefix_format(&list[i], buf), expected[i]);
}

static bool covered(const struct prefix *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (prefix_contains(&list[i], a))
			return true;
	}
	return false;
}

/* Two prefixes that are the halves of one could be replaced by it: then the list is not minimal. */
static bool has_siblings(const struct prefix *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			struct prefix parent = list[i];

			if (i == j || list[i].len != list[j].len || !list[i].len)
				continue;
			parent.len--;
			if (prefix_contains(&parent, &list[j].addr))
				return true;
		}
	}
	return false;
}

/* Against a brute-force oracle: in a space of 256 addresses (the last byte), for both families,
 * each address is covered by exactly one prefix of the complement or by an excluded one. */
static void complement_matches(const char *within, size_t last, unsigned int seed)
{
	struct prefix space = prefix(within), exclude[6];
	auto_free struct prefix *list = NULL;
	size_t n_exclude, n;

	srand(seed);
	n_exclude = (size_t)rand() % 7;
	for (size_t i = 0; i < n_exclude; i++) {
		exclude[i] = space;
		exclude[i].len = (uint8_t)(space.len + rand() % 9);
		exclude[i].addr.bytes[last] = (uint8_t)rand();
	}
	n = prefix_complement(&space, exclude, n_exclude, &list);
	assert_false(has_siblings(list, n));
	for (unsigned int v = 0; v < 256; v++) {
		struct addr a = space.addr;
		size_t hits = 0;

		a.bytes[last] = (uint8_t)v;
		for (size_t i = 0; i < n; i++)
			hits += prefix_contains(&list[i], &a);
		assert_int_equal(hits, covered(exclude, n_exclude, &a) ? 0 : 1);
	}
}

static void test_complement_property(void **state)
{
	for (unsigned int seed = 1; seed <= 2000; seed++) {
		complement_matches("192.0.2.0/24", 3, seed);
		complement_matches("2001:db8::ab00/120", 15, seed);
	}
}

/* The fewest prefixes that make up exactly the marked ones of 2^bits addresses from `first` on. */
static size_t fewest(const bool *marked, unsigned int first, unsigned int bits)
{
	size_t n = 0, size = 1U << bits;

	for (size_t i = 0; i < size; i++)
		n += marked[first + i];
	if (!n || n == size)
		return n ? 1 : 0;
	return fewest(marked, first, bits - 1) +
	       fewest(marked, first + (1U << (bits - 1)), bits - 1);
}

#define SLICE 8 /* addresses */

/* One list of excluded prefixes of the slice: bit 0 of `list` is the whole of it, bits 1 and 2 are
 * its halves and so on. */
static void complement_of_slice(const char *within, size_t last, unsigned int list)
{
	struct prefix space = prefix(within), exclude[2 * SLICE];
	auto_free struct prefix *got = NULL;
	size_t n, n_exclude = 0;
	bool wanted[SLICE];

	for (unsigned int node = 1; node < 2 * SLICE; node++) {
		unsigned int depth = 31U - (unsigned int)__builtin_clz(node);

		if (!(list & 1U << (node - 1)))
			continue;
		exclude[n_exclude] = space;
		exclude[n_exclude].len = (uint8_t)(space.len + depth);
		exclude[n_exclude++].addr.bytes[last] |=
			(uint8_t)((node - (1U << depth)) << (3 - depth));
	}
	n = prefix_complement(&space, exclude, n_exclude, &got);
	for (unsigned int i = 0; i < SLICE; i++) {
		struct addr a = addr_add(&space.addr, i);

		wanted[i] = !covered(exclude, n_exclude, &a);
		assert_int_equal(covered(got, n, &a), wanted[i]);
	}
	assert_int_equal(n, fewest(wanted, 0, 3));
}

/* Each of the 32768 lists that there are of the 15 prefixes of a slice. */
static void test_complement_exhaustive(void **state)
{
	for (unsigned int list = 0; list < 1U << (2 * SLICE - 1); list++) {
		complement_of_slice("192.0.2.8/29", 3, list);
		complement_of_slice("2001:db8::10/125", 15, list);
	}
}

static void random_bytes(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(rand() >> 7);
}

static void assert_complement_at(const struct prefix *space, const struct prefix *exclude,
				 size_t n_exclude, const struct prefix *list, size_t n,
				 const struct addr *a)
{
	bool wanted = prefix_contains(space, a) && !covered(exclude, n_exclude, a);
	char text[ADDR_STRLEN];
	size_t hits = 0;

	for (size_t i = 0; i < n; i++)
		hits += prefix_contains(&list[i], a);
	if (hits != wanted)
		fail_msg("%s is in %zu prefixes", addr_format(a, text), hits);
}

/* Lists over the whole space, both families mixed and overlapping: looked at in random places and
 * around both ends of each prefix, where an error would be. */
static void complement_of_space(const char *within, unsigned int seed)
{
	struct prefix space = prefix(within), exclude[12];
	auto_free struct prefix *list = NULL;
	size_t n_exclude, n;

	srand(seed);
	n_exclude = (size_t)rand() % (array_len(exclude) + 1);
	for (size_t i = 0; i < n_exclude; i++) {
		exclude[i].addr = (struct addr){.family = rand() % 5 ? space.addr.family : AF_INET};
		random_bytes(exclude[i].addr.bytes, addr_size(&exclude[i].addr));
		exclude[i].len =
			(uint8_t)((unsigned int)rand() % (addr_bits(&exclude[i].addr) + 1));
		if (i && rand() % 3 == 0) /* within another */
			exclude[i].addr = exclude[i - 1].addr;
	}
	n = prefix_complement(&space, exclude, n_exclude, &list);
	assert_false(has_siblings(list, n));
	for (size_t i = 0; i < 200; i++) {
		struct addr a = {.family = space.addr.family};

		random_bytes(a.bytes, addr_size(&a));
		assert_complement_at(&space, exclude, n_exclude, list, n, &a);
	}
	for (size_t i = 0; i < n + n_exclude; i++) {
		const struct addr_range r = prefix_range(i < n ? &list[i] : &exclude[i - n]);

		for (int64_t step = -1; step <= 1; step++) {
			struct addr first = addr_add(&r.first, step), end = addr_add(&r.last, step);

			assert_complement_at(&space, exclude, n_exclude, list, n, &first);
			assert_complement_at(&space, exclude, n_exclude, list, n, &end);
		}
	}
}

static void test_complement_of_whole_space(void **state)
{
	for (unsigned int seed = 1; seed <= 1000; seed++) {
		complement_of_space("0.0.0.0/0", seed);
		complement_of_space("::/0", seed);
		complement_of_space("2000::/3", seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_default_split),
		cmocka_unit_test(test_complement_property),
		cmocka_unit_test(test_complement_exhaustive),
		cmocka_unit_test(test_complement_of_whole_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

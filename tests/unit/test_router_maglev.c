#include "test.h"

#include "cleanup.h"
#include "maglev.h"

/* Exits 192.168.50.248 … with these weights; weight 0: takes no new flows. */
static size_t fill(const unsigned int *weights, size_t n, uint8_t table[static MAGLEV_SLOTS])
{
	struct model_exit exits[EXITS_MAX] = {0};

	for (size_t i = 0; i < n; i++) {
		struct addr first;

		assert_int_equal(addr_parse("192.168.50.190", &first), 0);
		exits[i] = (struct model_exit){.addr = addr_add(&first, (int64_t)i),
					       .state = EXIT_UP,
					       .weight = weights[i]};
	}
	return maglev_fill(exits, n, table);
}

static unsigned int share(const uint8_t table[static MAGLEV_SLOTS], uint8_t exit)
{
	unsigned int n = 0;

	for (size_t i = 0; i < MAGLEV_SLOTS; i++)
		n += table[i] == exit;
	return n;
}

static void test_equal_weights_get_equal_shares(void **state)
{
	uint8_t table[MAGLEV_SLOTS];
	unsigned int weights[EXITS_MAX];

	for (size_t i = 0; i < EXITS_MAX; i++)
		weights[i] = 7;
	for (size_t n = 1; n <= EXITS_MAX; n++) {
		assert_int_equal(fill(weights, n, table), n);
		for (size_t i = 0; i < n; i++)
			assert_in_range(share(table, (uint8_t)i), MAGLEV_SLOTS / n,
					MAGLEV_SLOTS / n + 1);
	}
}

static void test_weights_are_shares(void **state)
{
	const unsigned int weights[] = {1, 2, 5, 0, 100};
	uint8_t table[MAGLEV_SLOTS];

	assert_int_equal(fill(weights, array_len(weights), table), 4);
	for (size_t i = 0; i < array_len(weights); i++) {
		unsigned int fair = MAGLEV_SLOTS * weights[i] / 108;

		assert_in_range(share(table, (uint8_t)i), fair ? fair - 1 : 0,
				weights[i] ? fair + 2 : 0);
	}
}

/* Of the slots of those that stay, at most a few percent change hands. */
static void test_one_that_goes_leaves_the_others_alone(void **state)
{
	for (size_t n = 2; n <= 16; n++) {
		for (size_t gone = 0; gone < n; gone++) {
			uint8_t before[MAGLEV_SLOTS], after[MAGLEV_SLOTS];
			unsigned int weights[EXITS_MAX], moved = 0;

			for (size_t i = 0; i < n; i++)
				weights[i] = 1;
			fill(weights, n, before);
			weights[gone] = 0;
			fill(weights, n, after);
			for (size_t i = 0; i < MAGLEV_SLOTS; i++)
				moved += before[i] != gone && before[i] != after[i];
			assert_true(moved < MAGLEV_SLOTS / 10);
			assert_int_equal(share(after, (uint8_t)gone), 0);
		}
	}
}

static void test_none_that_takes_flows(void **state)
{
	const unsigned int weights[] = {0, 0};
	uint8_t table[MAGLEV_SLOTS] = {42};

	assert_int_equal(fill(weights, 2, table), 0);
	assert_int_equal(table[0], 42);
}

/* Both routers of a pair, of whatever build, must agree: this is that table's fingerprint. */
static void test_the_table_never_changes(void **state)
{
	const unsigned int weights[] = {1, 1, 1};
	uint8_t table[MAGLEV_SLOTS];
	uint32_t h = 2166136261U;

	fill(weights, 3, table);
	for (size_t i = 0; i < MAGLEV_SLOTS; i++)
		h = (h ^ table[i]) * 16777619U;
	assert_int_equal(h, 0x4c05b281);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_weights_get_equal_shares),
		cmocka_unit_test(test_weights_are_shares),
		cmocka_unit_test(test_one_that_goes_leaves_the_others_alone),
		cmocka_unit_test(test_none_that_takes_flows),
		cmocka_unit_test(test_the_table_never_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

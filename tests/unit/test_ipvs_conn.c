#include "test.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "ipvs_conn.h"
#include "strbuf.h"

#define HEADING		     "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
#define LINE(state, expires) "TCP C6336409 C350 0A34F8F8 1388 0A32000A 1F40 " state " " expires
#define V6                                                  \
	"TCP fd00:0000:0000:0000:0000:0000:0000:0009 C350 " \
	"fd00:0000:0000:0000:0000:0000:0000:00f8 1388 "     \
	"fd00:0000:0000:0000:0000:0000:0000:000a 1F40 ESTABLISHED     899\n"
#define DASHES                                              \
	"TCP fd00:0000:0000:0000:0000:0000:0000:0009 C350 " \
	"fd00:0000:0000:0000:0000:0000:0000:00f8 1388 -0A32000A        1F40 ESTABLISHED 9\n"

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		int result;
		bool open;
		uint32_t expires;
	} cases[] = {
		{HEADING, 0, false, 0},
		{"", 0, false, 0},
		{"\n", 0, false, 0},
		{"SCTP C6336409 C350 0A34F8F8 1388 0A32000A 1F40 ESTABLISHED 9\n", 0, false, 0},
		{DASHES, 0, false, 0},
		{LINE("ESTABLISHED", "    899\n"), 1, true, 899},
		{LINE("ESTABLISHED", "899"), 1, true, 899},
		{LINE("FIN_WAIT   ", "    119\n"), 1, true, 119},
		{LINE("CLOSE_WAIT ", "     59\n"), 1, true, 59},
		{LINE("TIME_WAIT  ", "    119\n"), 1, false, 119},
		{LINE("SYN_RECV   ", "      3\n"), 1, false, 3},
		{LINE("ESTABLISHED", "    899 sip the-call@host\n"), 1, true, 899},
		{V6, 1, true, 899},
		{LINE("ESTABLISHED", "\n"), -EBADMSG, false, 0},
		{LINE("ESTABLISHED", "-1\n"), -EBADMSG, false, 0},
		{LINE("ESTABLISHED", "1234567890\n"), -EBADMSG, false, 0},
		{"TCP\n", -EBADMSG, false, 0},
		{"TCP C6336409 C350 0A34F8F8 1388 0A32000A 11F40 UDP 1\n", -EBADMSG, false, 0},
		{"TCP 6336409 C350 0A34F8F8 1388 0A32000A 1F40 UDP 1\n", -EBADMSG, false, 0},
		{"TCP c6336409 C350 0A34F8F8 1388 0A32000A 1F40 UDP 1\n", -EBADMSG, false, 0},
		{"TCP fd00::1 C350 0A34F8F8 1388 0A32000A 1F40 UDP 1\n", -EBADMSG, false, 0},
		{"TCP fd00::x C350 0A34F8F8 1388 0A32000A 1F40 UDP 1\n", -EBADMSG, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct ipvs_conn conn;
		char line[512];

		snprintf(line, sizeof(line), "%s", cases[i].line);
		if (ipvs_conn_parse(line, &conn) != cases[i].result)
			fail_msg("%s", cases[i].line);
		if (cases[i].result <= 0)
			continue;
		assert_int_equal(conn.open, cases[i].open);
		assert_int_equal(conn.expires, cases[i].expires);
		assert_int_equal(conn.service.port, 5000);
		assert_int_equal(conn.server.addr.family, conn.client.addr.family);
	}
}

static void test_values(void **state)
{
	char line[] = "UDP C6336409 C350 0A34F8F8 1388 0A32000A 1F40 UDP             299\n";
	char text[ADDR_STRLEN];
	struct ipvs_conn conn;

	(void)state;
	assert_int_equal(ipvs_conn_parse(line, &conn), 1);
	assert_int_equal(conn.protocol, IPVS_UDP);
	assert_string_equal(addr_format(&conn.client.addr, text), "198.51.100.9");
	assert_int_equal(conn.client.port, 50000);
	assert_string_equal(addr_format(&conn.service.addr, text), "10.52.248.248");
	assert_string_equal(addr_format(&conn.server.addr, text), "10.50.0.10");
	assert_int_equal(conn.server.port, 8000);
	assert_true(conn.open);
}

static int count(const struct ipvs_conn *conn, void *data, struct err *err)
{
	size_t *n = data;

	assert_int_equal(conn->server.port, 8000);
	return ++*n == 3 ? err_set(err, -ECANCELED, "enough") : 0;
}

static int read_text(const char *text, size_t *n, struct err *err)
{
	auto_file FILE *table = fmemopen((void *)text, strlen(text), "r");

	*n = 0;
	return ipvs_conn_read(table, count, n, err);
}

/* What is not understood is told, but does not keep the others from being read. */
static void test_table(void **state)
{
	auto_strbuf struct strbuf text = {0};
	struct err err = {0};
	size_t n;

	(void)state;
	assert_int_equal(read_text(HEADING LINE("ESTABLISHED", "1\n"), &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(read_text("TCP what\n" LINE("ESTABLISHED", "1\n") "UDP x\n", &n, &err),
			 -EBADMSG);
	assert_string_equal(err.text, "IPVS connections: 2 lines not understood");
	assert_int_equal(n, 1);
	/* A line longer than the room: its rest is no line of its own. */
	strbuf_add(&text, LINE("ESTABLISHED", "1 sip %01000d"), 0);
	strbuf_add(&text, LINE("ESTABLISHED", "2\n") LINE("ESTABLISHED", "3\n"));
	assert_int_equal(read_text(strbuf_text(&text), &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(read_text(LINE("UDP", "1\n") LINE("UDP", "1\n") LINE("UDP", "1\n")
					   LINE("UDP", "1\n"),
				   &n, &err),
			 -ECANCELED);
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

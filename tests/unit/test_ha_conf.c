#include "test.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "flowsync.h"
#include "ha.h"

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static const char keepalived_router[] = "global_defs {\n"
					"\trouter_id byway-router\n"
					"\tscript_user root\n"
					"\tenable_script_security\n"
					"\tvrrp_version 3\n"
					"\tvrrp_notify_fifo /run/byway/router/notify\n"
					"\tvrrp_down_timer_adverts 5\n"
					"\tvrrp_garp_master_repeat 3\n"
					"\tvrrp_garp_master_delay 1\n"
					"\tvrrp_garp_interval 0.02\n"
					"\tvrrp_garp_master_refresh 10\n"
					"\tvrrp_garp_lower_prio_repeat 3\n"
					"\tvrrp_garp_lower_prio_delay 1\n"
					"\tvrrp_higher_prio_send_advert true\n"
					"\tmax_auto_priority -1\n"
					"\tvrrp_rt_priority 20\n"
					"\tvrrp_rlimit_rttime 1000000\n"
					"}\n"
					"vrrp_instance vip {\n"
					"\tstate BACKUP\n"
					"\tinterface sync\n"
					"\tmcast_src_ip 192.168.51.1\n"
					"\tvirtual_router_id 240\n"
					"\tpriority 100\n"
					"\tadvert_int 0.10\n"
					"\tnopreempt\n"
					"\tvirtual_ipaddress {\n"
					"\t\t192.168.50.240/32 dev vip no_track\n"
					"\t}\n"
					"\ttrack_interface {\n"
					"\t\tnet1\n"
					"\t}\n"
					"}\n";

static const char conntrackd_router[] = "Sync {\n"
					"\tMode FTFW {\n"
					"\t\tDisableExternalCache on\n"
					"\t\tStartupResync on\n"
					"\t}\n"
					"\tMulticast {\n"
					"\t\tIPv4_address 225.0.0.1\n"
					"\t\tGroup 3781\n"
					"\t\tIPv4_interface 192.168.51.1\n"
					"\t\tInterface sync\n"
					"\t\tSndSocketBuffer 1249280\n"
					"\t\tRcvSocketBuffer 1249280\n"
					"\t\tChecksum on\n"
					"\t}\n"
					"}\n"
					"General {\n"
					"\tSystemd off\n"
					"\tHashSize 32768\n"
					"\tHashLimit 524288\n"
					"\tLogFile off\n"
					"\tSyslog off\n"
					"\tLockFile /run/byway/router/conntrackd.lock\n"
					"\tUNIX {\n"
					"\t\tPath /run/byway/router/conntrackd.ctl\n"
					"\t}\n"
					"\tNetlinkBufferSize 2097152\n"
					"\tNetlinkBufferSizeMaxGrowth 8388608\n"
					"\tScheduler {\n"
					"\t\tType RR\n"
					"\t\tPriority 10\n"
					"\t}\n"
					"\tFilter From Kernelspace {\n"
					"\t\tAddress Ignore {\n"
					"\t\t\tIPv4_address 127.0.0.1\n"
					"\t\t\tIPv4_address 225.0.0.1\n"
					"\t\t\tIPv4_address 192.168.51.1\n"
					"\t\t\tIPv4_address 192.168.50.241\n"
					"\t\t\tIPv6_address fd00::1\n"
					"\t\t}\n"
					"\t\tState Ignore {\n"
					"\t\t\tSYN_SENT SYN_RECV for TCP\n"
					"\t\t}\n"
					"\t}\n"
					"}\n";

static void test_router_conf(void **state)
{
	struct ha_holding vip = {"vip", 240, 100, addr("192.168.50.240"), "vip"};
	struct addr ignore[] = {addr("192.168.50.241"), addr("fd00::1")};
	struct ha_config config = {
		.router_id = "byway-router",
		.sync_interface = "sync",
		.sync_addr = addr("192.168.51.1"),
		.track = "net1",
		.group = 1,
		.holdings = &vip,
		.n_holdings = 1,
		.ignore = ignore,
		.n_ignore = array_len(ignore),
		.advert_ms = 100,
	};
	auto_strbuf struct strbuf keepalived = {0}, conntrackd = {0};

	(void)state;
	ha_keepalived_conf(&config, "/run/byway/router/notify", &keepalived);
	assert_string_equal(strbuf_text(&keepalived), keepalived_router);
	ha_conntrackd_conf(&config, "/run/byway/router", &conntrackd);
	assert_string_equal(strbuf_text(&conntrackd), conntrackd_router);
}

/* What differs for a gateway: an instance an exit, perhaps with preemption, another pair's group.
 */
static void test_gateway_conf(void **state)
{
	struct ha_holding exits[] = {
		{"nl", 248, 150, addr("192.168.50.248"), "x-nl"},
		{"se", 249, 100, addr("192.168.50.249"), "x-se"},
	};
	struct ha_config config = {
		.router_id = "byway-gateway",
		.sync_interface = "sync",
		.sync_addr = addr("192.168.51.11"),
		.group = 255,
		.holdings = exits,
		.n_holdings = array_len(exits),
		.advert_ms = 1250,
		.preempt_delay_s = 5,
	};
	auto_strbuf struct strbuf keepalived = {0}, conntrackd = {0};
	const char *text;

	(void)state;
	ha_keepalived_conf(&config, "/f", &keepalived);
	text = strbuf_text(&keepalived);
	assert_non_null(strstr(text, "vrrp_instance nl {\n"));
	assert_non_null(strstr(
		text, "\tvirtual_router_id 249\n\tpriority 100\n"
		      "\tadvert_int 1.25\n\tpreempt_delay 5\n"
		      "\tvirtual_ipaddress {\n\t\t192.168.50.249/32 dev x-se no_track\n\t}\n}\n"));
	assert_null(strstr(text, "nopreempt"));
	assert_null(strstr(text, "track_interface"));
	ha_conntrackd_conf(&config, "/d", &conntrackd);
	assert_non_null(strstr(strbuf_text(&conntrackd), "\t\tIPv4_address 225.0.0.255\n"
							 "\t\tGroup 4035\n"));
}

static void test_vrid(void **state)
{
	struct addr good = addr("10.1.2.240"), bad = addr("10.1.2.0");
	struct err err;
	uint8_t vrid;

	(void)state;
	assert_int_equal(ha_vrid(&good, &vrid, &err), 0);
	assert_int_equal(vrid, 240);
	assert_int_equal(ha_vrid(&bad, &vrid, &err), -ERANGE);
	assert_non_null(strstr(err.text, "10.1.2.0: "));
}

static void test_stats(void **state)
{
	static const char answer[] =
		"cache internal:\n"
		"current active connections:\t           2\n\n"
		"traffic processed:\n"
		"                   0 Bytes                         0 Pckts\n\n"
		"multicast traffic (active device=sync):\n"
		"                 376 Bytes sent                   48 Bytes recv\n"
		"                   7 Pckts sent                    3 Pckts recv\n"
		"                   0 Error send                    0 Error recv\n";
	uint64_t received;

	(void)state;
	assert_int_equal(flowsync_received(answer, &received), 0);
	assert_int_equal(received, 3);
	assert_int_equal(flowsync_received("", &received), -EINVAL);
	assert_int_equal(flowsync_received("multicast traffic\n7 Pckts sent x", &received),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_router_conf),
		cmocka_unit_test(test_gateway_conf),
		cmocka_unit_test(test_vrid),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

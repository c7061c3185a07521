/* Addresses and MAC addresses that are asked for: which way counts, and what is refused. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "request.h"

#define CLIENT                                                            \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"role\":\"client\"," \
	"\"subnet\":\"192.168.50.0/24\",\"vip\":\"192.168.50.240\""
#define GATEWAY "{\"cniVersion\":\"1.0.0\",\"name\":\"vpn\",\"role\":\"gateway\""

/* The configuration `head` with `keys` behind it. */
static enum cni_code load(const char *head, const char *keys, const char *ip, const char *mac,
			  struct netconf *c, struct err *err)
{
	auto_config_text struct config_text text = {0};
	struct cni_env env = {.verb = VERB_ADD};
	char json[1024];
	enum cni_code code;

	*err = (struct err){0};
	snprintf(json, sizeof(json), "%s%s}", head, keys);
	snprintf(env.args_ip, sizeof(env.args_ip), "%s", ip);
	snprintf(env.args_mac, sizeof(env.args_mac), "%s", mac);
	code = netconf_parse(json, strlen(json), &text, err);
	if (!code)
		code = netconf_load(&text, c, err);
	return code ? code : request_complete(c, &env, err);
}

#define RUNTIME	     ",\"runtimeConfig\":{\"ips\":[\"192.168.50.7/24\"],\"mac\":\"c2:00:00:00:00:07\"}"
#define ARGS	     ",\"args\":{\"cni\":{\"ips\":[\"192.168.50.6\"],\"mac\":\"c2:00:00:00:00:06\"}}"
#define ARGS_LATER   RUNTIME ",\"args\":{\"cni\":{\"ips\":[\"192.168.50.6\"]}}"
#define RUNTIME_NONE ",\"runtimeConfig\":{\"ips\":[],\"mac\":\"\",\"portMappings\":[]}"

static void test_stronger_way(void **state)
{
	static const struct {
		const char *keys, *args_ip, *args_mac, *ip, *mac;
	} cases[] = {
		{"", "", "", NULL, "00:00:00:00:00:00"},
		{"", "192.168.50.5", "c2:00:00:00:00:05", "192.168.50.5", "c2:00:00:00:00:05"},
		{"", "192.168.50.5,,192.168.50.5/24,", "C2:00:00:00:00:0A", "192.168.50.5",
		 "c2:00:00:00:00:0a"},
		{ARGS, "192.168.50.5", "c2:00:00:00:00:05", "192.168.50.6", "c2:00:00:00:00:06"},
		{ARGS RUNTIME, "192.168.50.5", "c2:00:00:00:00:05", "192.168.50.7",
		 "c2:00:00:00:00:07"},
		{ARGS_LATER, "", "", "192.168.50.7", "c2:00:00:00:00:07"},
		{ARGS RUNTIME_NONE, "", "", "192.168.50.6", "c2:00:00:00:00:06"},
		{RUNTIME_NONE, "192.168.50.5", "", "192.168.50.5", "00:00:00:00:00:00"},
		{",\"RuntimeConfig\":{\"IPS\":[\"192.168.50.9\",\"192.168.50.9/24\"]}", "", "",
		 "192.168.50.9", "00:00:00:00:00:00"},
		{",\"args\":{\"cni\":{\"labels\":[{\"key\":\"a\"}]},\"other\":7}", "", "", NULL,
		 "00:00:00:00:00:00"},
		/* a MAC address made from an address is its holder's */
		{"", "192.168.50.5", "02:bb:c0:a8:32:05", "192.168.50.5", "02:bb:c0:a8:32:05"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_netconf struct netconf c = {0};
		char text[ADDR_STRLEN], mac[MAC_STRLEN];
		struct err err;

		if (load(CLIENT, cases[i].keys, cases[i].args_ip, cases[i].args_mac, &c, &err))
			fail_msg("%zu: %s", i, err.text);
		assert_int_equal(c.ips.n, cases[i].ip ? 1 : 0);
		if (cases[i].ip)
			assert_string_equal(addr_format(c.ips.items, text), cases[i].ip);
		assert_string_equal(mac_format(&c.mac, mac), cases[i].mac);
	}
}

#define IPS(list)      ",\"runtimeConfig\":{\"ips\":[" list "]}"
#define MAC(mac)       ",\"runtimeConfig\":{\"mac\":\"" mac "\"}"
#define OUTSIDE(ip)    ip " is requested: not an address for a host in 192.168.50.0/24"
#define OTHERS(mac, a) mac " is requested: it belongs to address " a

static void test_refused(void **state)
{
	static const struct {
		const char *head, *keys, *args_ip, *args_mac;
		enum cni_code code;
		const char *words;
	} cases[] = {
		{CLIENT, IPS("\"192.168.77.1\""), "", "", CNI_BAD_CONFIG, OUTSIDE("192.168.77.1")},
		{CLIENT, "", "192.168.50.0", "", CNI_BAD_CONFIG, OUTSIDE("192.168.50.0")},
		{CLIENT, "", "192.168.50.255/24", "", CNI_BAD_CONFIG, OUTSIDE("192.168.50.255")},
		{CLIENT, "", "192.168.50.240", "", CNI_BAD_CONFIG,
		 "192.168.50.240 is requested: it is the VIP"},
		{CLIENT, IPS("\"fd00::7\""), "", "", CNI_BAD_CONFIG,
		 "fd00::7 is requested: the network carries IPv4"},
		{CLIENT, IPS("\"192.168.50.7\",\"192.168.50.8\""), "", "", CNI_BAD_CONFIG,
		 "2 addresses are requested, 192.168.50.7 and others: an interface has one"},
		{CLIENT, "", "192.168.50.7,fd00::7", "", CNI_BAD_CONFIG, "2 addresses"},
		{CLIENT, "", "192.168.50.7,rubbish", "", CNI_BAD_ENV,
		 "CNI_ARGS: IP: \"rubbish\" is not an address"},
		{CLIENT, "", "1111111111111111111111111111111111111111111111111111111", "",
		 CNI_BAD_ENV, "is not an address"},
		{CLIENT, IPS("7"), "", "", CNI_BAD_CONFIG,
		 "runtimeConfig.ips[0]: must be a string"},
		{CLIENT, IPS("\"x\""), "", "", CNI_BAD_CONFIG, "runtimeConfig.ips[0]: \"x\""},
		{CLIENT, ",\"args\":[]", "", "", CNI_BAD_CONFIG, "args: must be an object"},
		{CLIENT, ",\"args\":{\"cni\":7}", "", "", CNI_BAD_CONFIG, "args.cni: must be"},
		{CLIENT, MAC("01:00:5e:00:00:01"), "", "", CNI_BAD_CONFIG,
		 "runtimeConfig.mac: must be the address of one station"},
		{CLIENT, MAC("ff:ff:ff:ff:ff:ff"), "", "", CNI_BAD_CONFIG, "one station"},
		{CLIENT, MAC("00:00:00:00:00:00"), "", "", CNI_BAD_CONFIG, "one station"},
		{CLIENT, MAC("c2:00"), "", "", CNI_BAD_CONFIG, "is not a hardware address"},
		{CLIENT, "", "", "03:00:00:00:00:01", CNI_BAD_ENV, "CNI_ARGS: MAC"},
		{CLIENT, "", "", "rubbish", CNI_BAD_ENV, "CNI_ARGS: MAC: \"rubbish\""},
		{CLIENT, MAC("02:bb:c0:a8:32:f0"), "", "", CNI_BAD_CONFIG,
		 OTHERS("02:bb:c0:a8:32:f0", "192.168.50.240")},
		{CLIENT, MAC("02:bb:c0:a8:32:f0"), "192.168.50.7", "", CNI_BAD_CONFIG,
		 OTHERS("02:bb:c0:a8:32:f0", "192.168.50.240")},
		{GATEWAY, MAC("02:bb:c0:a8:32:f8"), "", "", CNI_BAD_CONFIG,
		 OTHERS("02:bb:c0:a8:32:f8", "192.168.50.248")},
		{GATEWAY, IPS("\"192.168.50.7\""), "", "", CNI_BAD_CONFIG,
		 "192.168.50.7 is requested: role gateway has no address"},
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		auto_netconf struct netconf c = {0};
		struct err err;
		enum cni_code code = load(cases[i].head, cases[i].keys, cases[i].args_ip,
					  cases[i].args_mac, &c, &err);

		if (code != cases[i].code || !strstr(err.text, cases[i].words))
			fail_msg("%zu: code %d: %s", i, code, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stronger_way),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wg-quick files: what providers hand out, and what is wrong with files that are refused. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wgquick.h"

#define PRIVATE "cHJpdmF0ZSBwcml2YXRlIHByaXZhdGUgcHJpdmF0ZSA="
#define PUBLIC	"cHVibGljIHB1YmxpYyBwdWJsaWMgcHVibGljIHB1Ymw="
#define PUBLIC2 "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q="
#define SHARED	"c2hhcmVkIHNoYXJlZCBzaGFyZWQgc2hhcmVkIHNoYXI="
#define ZERO	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

#define INTERFACE "[Interface]\nPrivateKey = " PRIVATE "\nAddress = 10.64.1.2/32\n"
#define PEER	  "[Peer]\nPublicKey = " PUBLIC "\nAllowedIPs = 0.0.0.0/0\n"

static int parse(const char *text, struct wgquick *q, struct err *err)
{
	*err = (struct err){0};
	return wgquick_parse("nl.conf", text, strlen(text), q, err);
}

/* --- good files --- */

static void as_providers_write_them(void **state)
{
	auto_wgquick struct wgquick q;
	struct err err;
	char key[WG_KEY_B64];

	assert_int_equal(
		parse("\xef\xbb\xbf# Device: Strong Otter\r\n"
		      "[Interface]\r\n"
		      "# NAT-PMP (Port Forwarding) = on\r\n"
		      "PrivateKey=" PRIVATE "\r\n"
		      "Address   =\t10.64.1.2/32,fc00:bbbb:bbbb:bb01::2/128 # two\r\n"
		      "ADDRESS = 10.65.0.9\r\n"
		      "DNS = 10.64.0.1, fd00::1, corp.example\r\n"
		      "  mtu = 1320  \r\n"
		      "Table = off\r\n"
		      "PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark 0xca6c -j REJECT\r\n"
		      "PostUp = ip6tables -I OUTPUT ! -o %i -j REJECT\r\n"
		      "\r\n"
		      "[Peer]\r\n"
		      "PublicKey = " PUBLIC "\r\n"
		      "PresharedKey = " SHARED "\r\n"
		      "AllowedIPs = 0.0.0.0/1, 128.0.0.0/1\r\n"
		      "AllowedIPs = ::/0\r\n"
		      "Endpoint = nl-ams.vpn.example:51820\r\n"
		      "PersistentKeepalive = 25",
		      &q, &err),
		0);
	assert_string_equal(wg_key_format(&q.private_key, key), PRIVATE);
	assert_int_equal(q.n_addresses, 3);
	assert_int_equal(wgquick_ipv4(&q)->bytes[3], 2);
	assert_int_equal(q.n_dns, 2);
	assert_int_equal(q.mtu, 1320);
	assert_int_equal(q.n_notes, 3);
	assert_int_equal(q.notes[0].line, 9);
	assert_string_equal(q.notes[0].key, "Table");
	assert_int_equal(q.n_peers, 1);
	assert_string_equal(wg_key_format(&q.peers[0].preshared_key, key), SHARED);
	assert_int_equal(q.peers[0].n_allowed_ips, 3);
	assert_string_equal(q.peers[0].endpoint.host, "nl-ams.vpn.example");
	assert_int_equal(q.peers[0].endpoint.port, 51820);
	assert_int_equal(q.peers[0].keepalive, 25);
}

static void peers_may_come_first_and_be_several(void **state)
{
	auto_wgquick struct wgquick q;
	struct err err;

	assert_int_equal(
		parse("[Peer]\nPublicKey = " PUBLIC2 "\nAllowedIPs = 10.2.3.4/8\n"
		      "Endpoint = [2001:db8::1]:443\nPersistentKeepalive = off\n" PEER INTERFACE,
		      &q, &err),
		0);
	assert_int_equal(q.n_peers, 2);
	assert_string_equal(q.peers[0].endpoint.host, "2001:db8::1");
	assert_int_equal(q.peers[0].allowed_ips[0].addr.bytes[1], 0); /* host bits are cleared */
	assert_string_equal(q.peers[1].endpoint.host, "");
}

/* --- refused ones --- */

static const struct {
	const char *text, *why;
} refused[] = {
	{"", ":1: there is no [Interface]"},
	{"\n\n# nothing\n", ":4: there is no [Interface]"},
	{PEER, ":4: there is no [Interface]"},
	{"hello\n", ":1: this is not a line of the form KEY = VALUE"},
	{"PrivateKey = " PRIVATE "\n", ":1: PrivateKey: stands before any [Section]"},
	{"[Interfaces]\n", ":1: neither [Interface] nor [Peer]"},
	{"[Interface\n", ":1: neither [Interface] nor [Peer]"},
	{INTERFACE "[Interface]\n", ":4: [Interface]: given twice"},
	{INTERFACE, ":1: there is no [Peer]"},
	{"[Interface]\nAddress = 10.0.0.1\n" PEER, ":1: PrivateKey: missing in [Interface]"},
	{"[Interface]\nPrivateKey = " PRIVATE "\n" PEER, ":1: Address: missing in [Interface]"},
	{"[Interface]\nPrivateKey =\n", ":2: PrivateKey: is empty"},
	{"[Interface]\nPrivateKey = # later\n", ":2: PrivateKey: is empty"},
	{"[Interface]\nPrivateKey = secret\n", ":2: PrivateKey: is not a key (32 bytes in base64)"},
	{"[Interface]\nPrivateKey = " ZERO "\n", ":2: PrivateKey: is a key of zeros"},
	{INTERFACE "PrivateKey = " PRIVATE "\n", ":4: PrivateKey: given twice"},
	{INTERFACE PRIVATE "\n", ":4: this is not a line of the form KEY = VALUE"},
	{INTERFACE "PrivteKey = " PRIVATE "\n", ":4: PrivteKey: unknown key"},
	{INTERFACE "Private Key = " PRIVATE "\n", ":4: this is not a line of the form KEY = VALUE"},
	{INTERFACE "Jc = 4\n", ":4: Jc: unknown key"},
	{INTERFACE "Endpoint = 1.2.3.4:5\n", ":4: Endpoint: belongs to [Peer]"},
	{INTERFACE PEER "Address = 1.2.3.4\n", ":7: Address: belongs to [Interface]"},
	{INTERFACE "Address = 10.0.0.1/33\n",
	 ":4: Address: holds something that is not an address"},
	{INTERFACE "Address = 10.0.0.1,,10.0.0.2\n",
	 ":4: Address: holds something that is not an address"},
	{INTERFACE "Address = nl.example\n", ":4: Address: holds something that is not an address"},
	{"[Interface]\nPrivateKey = " PRIVATE "\nAddress = fd00::1/64\n" PEER,
	 ":1: Address: none is IPv4"},
	{INTERFACE
	 "Address = 1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
	 "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1\n",
	 ":4: Address: too many addresses"},
	{INTERFACE "DNS = 10.0.0.1;10.0.0.2\n",
	 ":4: DNS: holds something that is neither an address nor a search domain"},
	{INTERFACE "MTU = 1420 bytes\n", ":4: MTU: is not within 576 to 65535"},
	{INTERFACE "MTU = 100\n", ":4: MTU: is not within 576 to 65535"},
	{INTERFACE "MTU = 99999999999999999999\n", ":4: MTU: is not within 576 to 65535"},
	{INTERFACE "MTU = 1400\nmtu = 1400\n", ":5: MTU: given twice"},
	{INTERFACE "[Peer]\nAllowedIPs = 0.0.0.0/0\n", ":4: PublicKey: missing in this [Peer]"},
	{INTERFACE "[Peer]\nPublicKey = " PUBLIC "\n", ":4: AllowedIPs: missing in this [Peer]"},
	{INTERFACE "[Peer]\nPublicKey = " PUBLIC "\nAllowedIPs =\n",
	 ":4: AllowedIPs: missing in this [Peer]"},
	{INTERFACE "[Peer]\nPublicKey = " PRIVATE "x\n",
	 ":5: PublicKey: is not a key (32 bytes in base64)"},
	{INTERFACE "[Peer]\nPublicKey = " ZERO "\n", ":5: PublicKey: is a key of zeros"},
	{INTERFACE PEER "[Peer]\nPublicKey = " PUBLIC "\n",
	 ":8: PublicKey: a peer above has the same"},
	{INTERFACE PEER "PresharedKey = " SHARED SHARED "\n",
	 ":7: PresharedKey: is not a key (32 bytes in base64)"},
	{INTERFACE PEER "AllowedIPs = 0.0.0.0/0/0\n",
	 ":7: AllowedIPs: holds something that is not a prefix"},
	{INTERFACE PEER "Endpoint = nl.example\n", ":7: Endpoint: has no port"},
	{INTERFACE PEER "Endpoint = nl.example:0\n",
	 ":7: Endpoint: has a port that is not within 1 to 65535"},
	{INTERFACE PEER "Endpoint = nl.example:65536\n",
	 ":7: Endpoint: has a port that is not within 1 to 65535"},
	{INTERFACE PEER "Endpoint = nl.example:port\n",
	 ":7: Endpoint: has a port that is not within 1 to 65535"},
	{INTERFACE PEER "Endpoint = :51820\n",
	 ":7: Endpoint: has a host that is neither an address nor a name"},
	{INTERFACE PEER "Endpoint = 1.2.3.4.5:51820\n",
	 ":7: Endpoint: has a host that is neither an address nor a name"},
	{INTERFACE PEER "Endpoint = 2001:db8::1:51820\n",
	 ":7: Endpoint: needs brackets around its IPv6 address"},
	{INTERFACE PEER "Endpoint = [2001:db8::1:51820\n",
	 ":7: Endpoint: has an unbalanced bracket"},
	{INTERFACE PEER "Endpoint = [1.2.3.4]:51820\n",
	 ":7: Endpoint: has no IPv6 address in its brackets"},
	{INTERFACE PEER "Endpoint = 1.2.3.4:1\nEndpoint = 1.2.3.4:2\n",
	 ":8: Endpoint: given twice"},
	{INTERFACE PEER "PersistentKeepalive = 25s\n",
	 ":7: PersistentKeepalive: is neither \"off\" nor a number up to 65535"},
	{INTERFACE PEER "PersistentKeepalive = -1\n",
	 ":7: PersistentKeepalive: is neither \"off\" nor a number up to 65535"},
	{INTERFACE PEER "PostUp = reboot\n", ":7: PostUp: belongs to [Interface]"},
};

static void mistakes_have_their_line(void **state)
{
	static const struct wgquick cleared;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct wgquick q;
		struct err err;

		assert_int_equal(parse(refused[i].text, &q, &err), -EINVAL);
		assert_memory_equal(err.text, "nl.conf", 7);
		assert_string_equal(err.text + 7, refused[i].why);
		assert_null(strstr(err.text, "cHJpdmF0"));
		assert_null(strstr(err.text, "c2hhcmVk"));
		assert_memory_equal(&q, &cleared, sizeof(q));
	}
}

static void nul_bytes_and_size_are_refused(void **state)
{
	static char text[WGQUICK_FILE_MAX + 1];
	struct err err = {0};
	struct wgquick q;

	assert_int_equal(wgquick_parse("nl.conf", "[Interface]\0", 12, &q, &err), -EINVAL);
	assert_string_equal(err.text, "nl.conf:1: NUL byte in the file");
	memset(text, '#', sizeof(text));
	assert_int_equal(wgquick_parse("nl.conf", text, sizeof(text), &q, &err), -EINVAL);
	assert_string_equal(err.text, "nl.conf:1: larger than 262144 bytes");
}

static void many_peers_and_prefixes_have_a_limit(void **state)
{
	static char text[WGQUICK_FILE_MAX];
	struct err err = {0};
	struct wgquick q;
	size_t n;

	n = (size_t)snprintf(text, sizeof(text), INTERFACE PEER "AllowedIPs = 10.0.0.0/8");
	for (int i = 0; i < WGQUICK_ALLOWED_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",10.0.0.0/8");
	assert_int_equal(wgquick_parse("nl.conf", text, n, &q, &err), -EINVAL);
	assert_string_equal(err.text, "nl.conf:7: AllowedIPs: too many prefixes");
	n = (size_t)snprintf(text, sizeof(text), INTERFACE);
	for (int i = 0; i <= WGQUICK_PEERS_MAX; i++) {
		struct wg_key key = {.bytes = {1, (uint8_t)i}};
		char key_text[WG_KEY_B64];

		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "[Peer]\nPublicKey = %s\nAllowedIPs = 10.0.0.0/8\n",
				      wg_key_format(&key, key_text));
	}
	assert_int_equal(wgquick_parse("nl.conf", text, n, &q, &err), -EINVAL);
	assert_string_equal(err.text, "nl.conf:196: more than 64 peers");
}

/* --- files --- */

static void write_file(const char *file, const char *text, mode_t mode)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(file, mode), 0);
}

static void files_must_be_private(void **state)
{
	static const struct {
		mode_t mode;
		int result;
	} modes[] = {{0600, 0},	      {0400, 0},       {0644, -EACCES},
		     {0640, -EACCES}, {0604, -EACCES}, {0620, -EACCES}};
	char dir[] = "/tmp/test-wgquick-XXXXXX", file[64];

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/nl.conf", dir);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		auto_wgquick struct wgquick q = {0};
		struct err err = {0};

		unlink(file);
		write_file(file, INTERFACE PEER, modes[i].mode);
		assert_int_equal(wgquick_load(file, &q, &err), modes[i].result);
	}
	unlink(file);
	rmdir(dir);
}

static void only_regular_files(void **state)
{
	struct wgquick q;
	struct err err = {0};

	assert_int_equal(wgquick_load("/", &q, &err), -EINVAL);
	assert_string_equal(err.text, "/: not a regular file");
	assert_int_equal(wgquick_load("/nowhere/nl.conf", &q, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_providers_write_them),
		cmocka_unit_test(peers_may_come_first_and_be_several),
		cmocka_unit_test(mistakes_have_their_line),
		cmocka_unit_test(nul_bytes_and_size_are_refused),
		cmocka_unit_test(many_peers_and_prefixes_have_a_limit),
		cmocka_unit_test(files_must_be_private),
		cmocka_unit_test(only_regular_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

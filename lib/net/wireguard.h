#pragma once
/* WireGuard devices over generic netlink (linux/wireguard.h). The link itself is a LINK_WIREGUARD
 * object; here is what `wg setconf` does, without a process and without a key on a command line. */

#include <netinet/in.h>

#include "addr.h"
#include "err.h"
#include "net.h"

#define WG_KEY_BYTES 32
#define WG_KEY_B64   45 /* with terminator */

struct wg_key {
	uint8_t bytes[WG_KEY_BYTES];
};

struct wg_peer {
	struct wg_key public_key;
	struct wg_key preshared_key;	  /* all zero: none */
	struct sockaddr_storage endpoint; /* ss_family 0: leave as it is */
	unsigned int keepalive;		  /* seconds, 0: off */
	struct prefix *allowed_ips;	  /* owned */
	size_t n_allowed_ips;
	/* observed only */
	int64_t last_handshake; /* seconds since the epoch, 0: never */
	uint64_t rx_bytes, tx_bytes;
};

struct wg_device {
	char name[IFNAMSIZ];
	struct wg_key private_key;
	uint16_t listen_port; /* 0: the kernel's choice, equal to any */
	uint32_t fwmark;
	struct wg_peer *peers; /* owned */
	size_t n_peers;
};

/* Frees what it owns and zeroes the keys (explicit_bzero). */
void wg_device_clear(struct wg_device *dev);
#define auto_wg_device __attribute__((cleanup(wg_device_clear)))

/* Makes the device's configuration equal to `dev`: peers not named are removed. A large peer list
 * is sent in several messages. */
int wg_device_set(struct net *net, const struct wg_device *dev, struct err *err);

/* Reads it back, with handshakes and counters. */
int wg_device_get(struct net *net, const char *name, struct wg_device *ret, struct err *err);

/* Same private key, port, mark, peers (keys, allowed addresses, keepalive; endpoints roam and are
 * not compared). */
bool wg_device_equal(const struct wg_device *a, const struct wg_device *b);

/* Base64 of 32 bytes, as wg-quick files write keys. 0 or -EINVAL. Constant time. */
int wg_key_parse(const char *s, struct wg_key *ret);
const char *wg_key_format(const struct wg_key *k, char buf[static WG_KEY_B64]);
bool wg_key_equal(const struct wg_key *a, const struct wg_key *b);
bool wg_key_is_zero(const struct wg_key *k);

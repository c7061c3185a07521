#pragma once
/* wg-quick files as VPN providers hand them out.
 *
 * Parsed strictly: one line "FILE:LINE: KEY: why" about the first mistake. No message ever holds a
 * value of the file, and a key name only where it looks like one, so that a private key on the
 * wrong line is not shown either.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "err.h"
#include "wireguard.h"

#define WGQUICK_FILE_MAX      (256U << 10) /* bytes */
#define WGQUICK_PEERS_MAX     64
#define WGQUICK_ADDRESSES_MAX 16   /* also of DNS servers */
#define WGQUICK_ALLOWED_MAX   4096 /* allowed prefixes of all peers */
#define WGQUICK_HOST_MAX      254  /* with terminator (RFC 1035: 253 characters) */

/* Where a peer is reached: a name or a literal address, as the file has it. */
struct wgquick_endpoint {
	char host[WGQUICK_HOST_MAX]; /* "" where the file names none */
	uint16_t port;
};

struct wgquick_peer {
	struct wg_key public_key, preshared_key; /* preshared: zero for none */
	struct wgquick_endpoint endpoint;
	unsigned int keepalive;	    /* seconds, 0: off */
	struct prefix *allowed_ips; /* owned; host bits cleared */
	size_t n_allowed_ips;
	unsigned int line; /* of its [Peer] */
};

/* A key that was read and is not followed. */
struct wgquick_note {
	unsigned int line;
	const char *key, *why; /* static */
};

struct wgquick {
	struct wg_key private_key;
	struct prefix addresses[WGQUICK_ADDRESSES_MAX]; /* both families */
	size_t n_addresses;
	struct addr dns[WGQUICK_ADDRESSES_MAX];
	size_t n_dns;
	unsigned int mtu;	    /* bytes, 0: not said */
	struct wgquick_peer *peers; /* owned */
	size_t n_peers;
	struct wgquick_note *notes; /* owned */
	size_t n_notes;
};

/* Frees what it owns and zeroes the keys. */
void wgquick_clear(struct wgquick *q);
#define auto_wgquick __attribute__((cleanup(wgquick_clear)))

/* Parses `size` bytes; `name` stands for the file in messages. 0 or -EINVAL, *ret is then cleared.
 */
int wgquick_parse(const char *name, const char *text, size_t size, struct wgquick *ret,
		  struct err *err);

/* The same from a file, which must be a regular file that neither group nor others may access
 * (-EACCES). The text is zeroed after use. */
int wgquick_load(const char *file, struct wgquick *ret, struct err *err);

/* The first IPv4 address of the interface, NULL where there is none. */
const struct addr *wgquick_ipv4(const struct wgquick *q);

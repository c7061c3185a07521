#pragma once
/* Addresses, prefixes and ranges of both families, and the set arithmetic over them. All pure. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
	sa_family_t family; /* AF_INET, AF_INET6, or AF_UNSPEC for "none" */
	uint8_t bytes[16];  /* network order; an IPv4 address uses the first four */
};

struct prefix {
	struct addr addr; /* host bits kept: 10.0.0.5/24 is an address with its prefix length */
	uint8_t len;
};

/* Inclusive; both ends of one family, first <= last. */
struct addr_range {
	struct addr first, last;
};

/* Hardware address (Ethernet). */
struct mac {
	uint8_t bytes[6];
};

#define ADDR_STRLEN   46
#define PREFIX_STRLEN 50
#define RANGE_STRLEN  93
#define MAC_STRLEN    18

/* Parsers take exactly the usual notation with nothing behind it; 0 or -EINVAL, *ret untouched on
 * failure. A range is "A-B" or a single address; a prefix without "/len" is a host prefix. */
int addr_parse(const char *s, struct addr *ret);
int prefix_parse(const char *s, struct prefix *ret);
int addr_range_parse(const char *s, struct addr_range *ret);
int mac_parse(const char *s, struct mac *ret);

/* Formatters write to `buf` and return it. */
const char *addr_format(const struct addr *a, char buf[static ADDR_STRLEN]);
const char *prefix_format(const struct prefix *p, char buf[static PREFIX_STRLEN]);
const char *addr_range_format(const struct addr_range *r, char buf[static RANGE_STRLEN]);
const char *mac_format(const struct mac *m, char buf[static MAC_STRLEN]);

/* 4 or 16; 0 for "none". */
size_t addr_size(const struct addr *a);
/* 32 or 128. */
unsigned int addr_bits(const struct addr *a);

/* <0, 0, >0; IPv4 sorts before IPv6. */
int addr_cmp(const struct addr *a, const struct addr *b);
bool addr_equal(const struct addr *a, const struct addr *b);
bool prefix_equal(const struct prefix *a, const struct prefix *b);

/* The address `n` behind `a` (may be negative); wraps at the end of the family's space. */
struct addr addr_add(const struct addr *a, int64_t n);

/* How far `b` lies behind `a`, both of one family, a <= b; saturates at UINT64_MAX. */
uint64_t addr_distance(const struct addr *a, const struct addr *b);

/* The lowest address of the prefix: host bits cleared. */
struct prefix prefix_network(const struct prefix *p);
struct prefix prefix_host(const struct addr *a);
struct addr_range prefix_range(const struct prefix *p);
bool prefix_contains(const struct prefix *p, const struct addr *a);

bool addr_range_contains(const struct addr_range *r, const struct addr *a);
bool addr_range_overlaps(const struct addr_range *a, const struct addr_range *b);
bool addr_range_within(const struct addr_range *inner, const struct addr_range *outer);
/* Number of addresses; saturates at UINT64_MAX. */
uint64_t addr_range_size(const struct addr_range *r);

/* The smallest list of prefixes whose union is exactly the family's space `within` minus the
 * union of `exclude` (entries of the other family are ignored, they may overlap each other).
 * In ascending order; *ret is owned by the caller (free). Returns their number.
 * This is how a client's "everything but the intranet" becomes routes. */
size_t prefix_complement(const struct prefix *within, const struct prefix *exclude,
			 size_t n_exclude, struct prefix **ret);

/* The locally administered MAC address that belongs to an IPv4 address: 02:bb:a:b:c:d. It makes
 * the reuse of an address by another pod, or its move to another node, invisible to ARP caches
 * (facts.md). `a` must be IPv4. */
struct mac mac_from_addr(const struct addr *a);
bool mac_equal(const struct mac *a, const struct mac *b);

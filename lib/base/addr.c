/* Theory of operation
 *
 * Everything is done on big-endian byte strings of the family's length, so that both families share
 * each line. The complement walks the binary trie of prefixes from `within` downwards: a node that
 * no excluded prefix touches is emitted whole, a node inside an excluded prefix is dropped, any
 * other node is split into its two halves. A node is emitted only when its sibling is not, or their
 * parent would have been, hence the list is minimal. Depth is bounded by the address length, work
 * by depth times the number of excluded prefixes.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

size_t addr_size(const struct addr *a)
{
	switch (a->family) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 16;
	default:
		return 0;
	}
}

unsigned int addr_bits(const struct addr *a)
{
	return 8 * (unsigned int)addr_size(a);
}

int addr_parse(const char *s, struct addr *ret)
{
	struct addr a = {0};

	a.family = strchr(s, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(a.family, s, a.bytes) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

/* A decimal number of at most three digits, without sign or blanks. */
static int parse_small(const char *s, unsigned int max, unsigned int *ret)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; s[i]; i++) {
		if (s[i] < '0' || s[i] > '9' || i == 3)
			return -EINVAL;
		n = n * 10 + (unsigned int)(s[i] - '0');
	}
	if (i == 0 || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

int prefix_parse(const char *s, struct prefix *ret)
{
	const char *slash = strchr(s, '/');
	char text[ADDR_STRLEN];
	struct prefix p = {0};
	unsigned int len;
	size_t n = slash ? (size_t)(slash - s) : strlen(s);

	if (n >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, n);
	text[n] = '\0';
	if (addr_parse(text, &p.addr) < 0)
		return -EINVAL;
	len = addr_bits(&p.addr);
	if (slash && parse_small(slash + 1, len, &len) < 0)
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

int addr_range_parse(const char *s, struct addr_range *ret)
{
	const char *dash = strchr(s, '-');
	char text[ADDR_STRLEN];
	struct addr_range r;
	size_t n = dash ? (size_t)(dash - s) : strlen(s);

	if (n >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, n);
	text[n] = '\0';
	if (addr_parse(text, &r.first) < 0)
		return -EINVAL;
	r.last = r.first;
	if (dash && addr_parse(dash + 1, &r.last) < 0)
		return -EINVAL;
	if (r.first.family != r.last.family || addr_cmp(&r.first, &r.last) > 0)
		return -EINVAL;
	*ret = r;
	return 0;
}

/* -1 where `c` is none. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mac_parse(const char *s, struct mac *ret)
{
	struct mac m;

	if (strlen(s) != MAC_STRLEN - 1)
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		int hi = hex_digit(s[3 * i]), lo = hex_digit(s[3 * i + 1]);

		if (hi < 0 || lo < 0 || (i < 5 && s[3 * i + 2] != ':'))
			return -EINVAL;
		m.bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = m;
	return 0;
}

const char *addr_format(const struct addr *a, char buf[static ADDR_STRLEN])
{
	if (!addr_size(a) || !inet_ntop(a->family, a->bytes, buf, ADDR_STRLEN))
		snprintf(buf, ADDR_STRLEN, "none");
	return buf;
}

const char *prefix_format(const struct prefix *p, char buf[static PREFIX_STRLEN])
{
	char a[ADDR_STRLEN];

	snprintf(buf, PREFIX_STRLEN, "%s/%u", addr_format(&p->addr, a), p->len);
	return buf;
}

const char *addr_range_format(const struct addr_range *r, char buf[static RANGE_STRLEN])
{
	char a[ADDR_STRLEN], b[ADDR_STRLEN];

	if (addr_equal(&r->first, &r->last))
		snprintf(buf, RANGE_STRLEN, "%s", addr_format(&r->first, a));
	else
		snprintf(buf, RANGE_STRLEN, "%s-%s", addr_format(&r->first, a),
			 addr_format(&r->last, b));
	return buf;
}

const char *mac_format(const struct mac *m, char buf[static MAC_STRLEN])
{
	const uint8_t *b = m->bytes;

	snprintf(buf, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		 b[5]);
	return buf;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return addr_size(a) < addr_size(b) ? -1 : 1;
	return memcmp(a->bytes, b->bytes, addr_size(a));
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

struct addr addr_add(const struct addr *a, int64_t n)
{
	struct addr r = *a;
	int64_t carry = n;

	for (size_t i = addr_size(a); i-- > 0 && carry;) {
		int64_t sum = r.bytes[i] + (carry & 0xff);

		r.bytes[i] = (uint8_t)sum;
		carry = (carry >> 8) + (sum >> 8);
	}
	return r;
}

uint64_t addr_distance(const struct addr *a, const struct addr *b)
{
	size_t size = addr_size(a);
	uint64_t high = 0, low = 0;
	int borrow = 0;

	assert(a->family == b->family && addr_cmp(a, b) <= 0);
	for (size_t i = 0; i < size; i++) {
		size_t at = size - 1 - i;
		int diff = b->bytes[at] - a->bytes[at] - borrow;

		borrow = diff < 0;
		if (i < 8)
			low |= (uint64_t)(uint8_t)diff << (8 * i);
		else
			high |= (uint8_t)diff;
	}
	return high ? UINT64_MAX : low;
}

static bool bit_of(const struct addr *a, unsigned int bit)
{
	return a->bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static void set_bit(struct addr *a, unsigned int bit, bool value)
{
	uint8_t mask = (uint8_t)(0x80 >> bit % 8);

	if (value)
		a->bytes[bit / 8] |= mask;
	else
		a->bytes[bit / 8] &= (uint8_t)~mask;
}

/* `p` with every host bit set to `value`. */
static struct addr fill_host_bits(const struct prefix *p, bool value)
{
	struct addr a = p->addr;

	for (unsigned int bit = p->len; bit < addr_bits(&a); bit++)
		set_bit(&a, bit, value);
	return a;
}

struct prefix prefix_network(const struct prefix *p)
{
	return (struct prefix){.addr = fill_host_bits(p, false), .len = p->len};
}

struct prefix prefix_host(const struct addr *a)
{
	return (struct prefix){.addr = *a, .len = (uint8_t)addr_bits(a)};
}

struct addr_range prefix_range(const struct prefix *p)
{
	return (struct addr_range){fill_host_bits(p, false), fill_host_bits(p, true)};
}

static bool common_bits(const struct addr *a, const struct addr *b, unsigned int len)
{
	for (unsigned int bit = 0; bit < len; bit++) {
		if (bit_of(a, bit) != bit_of(b, bit))
			return false;
	}
	return true;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	return p->addr.family == a->family && common_bits(&p->addr, a, p->len);
}

bool addr_range_contains(const struct addr_range *r, const struct addr *a)
{
	return r->first.family == a->family && addr_cmp(&r->first, a) <= 0 &&
	       addr_cmp(a, &r->last) <= 0;
}

bool addr_range_overlaps(const struct addr_range *a, const struct addr_range *b)
{
	return a->first.family == b->first.family && addr_cmp(&a->first, &b->last) <= 0 &&
	       addr_cmp(&b->first, &a->last) <= 0;
}

bool addr_range_within(const struct addr_range *inner, const struct addr_range *outer)
{
	return addr_range_contains(outer, &inner->first) &&
	       addr_range_contains(outer, &inner->last);
}

uint64_t addr_range_size(const struct addr_range *r)
{
	uint64_t d = addr_distance(&r->first, &r->last);

	return d == UINT64_MAX ? d : d + 1;
}

struct complement {
	const struct prefix *exclude;
	size_t n_exclude;
	struct prefix *list;
	size_t n;
};

static void complement_walk(struct complement *c, struct prefix node)
{
	bool touched = false;

	for (size_t i = 0; i < c->n_exclude; i++) {
		const struct prefix *x = &c->exclude[i];
		unsigned int shorter = x->len < node.len ? x->len : node.len;

		if (x->addr.family != node.addr.family ||
		    !common_bits(&x->addr, &node.addr, shorter))
			continue;
		if (x->len <= node.len)
			return;
		touched = true;
	}
	if (!touched) {
		c->list = xreallocarray(c->list, c->n + 1, sizeof(*c->list));
		c->list[c->n++] = node;
		return;
	}
	node.len++;
	complement_walk(c, node);
	set_bit(&node.addr, node.len - 1U, true);
	complement_walk(c, node);
}

size_t prefix_complement(const struct prefix *within, const struct prefix *exclude,
			 size_t n_exclude, struct prefix **ret)
{
	struct complement c = {.exclude = exclude, .n_exclude = n_exclude};

	complement_walk(&c, prefix_network(within));
	*ret = c.list;
	return c.n;
}

struct mac mac_from_addr(const struct addr *a)
{
	assert(a->family == AF_INET);
	return (struct mac){{0x02, 0xbb, a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]}};
}

bool mac_equal(const struct mac *a, const struct mac *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

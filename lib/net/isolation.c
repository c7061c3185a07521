/* Theory of operation
 *
 * The plugin makes a port, with its alias, before it enters it, and enters it only after. So whoever
 * lists the entries first and the ports afterwards finds the port of each entry of a living pod: an
 * entry without port is stale. The other way round an ADD between the two looks would seem to have
 * left an entry behind.
 *
 * DEL takes nothing out, only an ADD that failed what it entered itself. Whoever closes a netfilter socket after an element was deleted waits,
 * with the namespace's nftables locked, for the end of an RCU grace period (nft_rcv_nl_event()): 10 ms
 * and more for each DEL, one after the other. The agent hears of each port that goes and takes out
 * the entries of many at once; until then they are of no use to anybody, since a port's name belongs
 * to one interface of one container.
 */
#include "isolation.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "mem.h"
#include "nfset.h"

static const char *const set_names[] = {ISOLATION_MACS, ISOLATION_ADDRESSES};

#define KEYS_PER_ENTRY array_len(set_names)

static void fill_keys(const struct isolation_entry *e, struct nfset_key keys[KEYS_PER_ENTRY])
{
	struct nfset_key *mac = &keys[0], *addr = &keys[1];

	assert(e->addr.family == AF_INET);
	*mac = (struct nfset_key){.set = set_names[0], .len = IFNAMSIZ + 8};
	memcpy(mac->bytes, e->port, strlen(e->port));
	memcpy(mac->bytes + IFNAMSIZ, e->mac.bytes, sizeof(e->mac.bytes));
	*addr = (struct nfset_key){.set = set_names[1], .len = IFNAMSIZ + 4};
	memcpy(addr->bytes, e->port, strlen(e->port));
	memcpy(addr->bytes + IFNAMSIZ, e->addr.bytes, 4);
}

int isolation_enter(int netns_fd, const struct isolation_entry *entry, struct err *err)
{
	struct nfset_key keys[KEYS_PER_ENTRY];

	fill_keys(entry, keys);
	return nfset_change(netns_fd, NFSET_ADD, ISOLATION_TABLE, keys, array_len(keys), err);
}

int isolation_leave(int netns_fd, const struct isolation_entry *entry, struct err *err)
{
	struct nfset_key keys[KEYS_PER_ENTRY];
	int r;

	fill_keys(entry, keys);
	r = nfset_change(netns_fd, NFSET_DELETE, ISOLATION_TABLE, keys, array_len(keys), err);
	return r == -ENOENT ? 0 : r;
}

int isolation_check(int netns_fd, const struct isolation_entry *entry, struct err *err)
{
	struct nfset_key keys[KEYS_PER_ENTRY];
	int r = 0;

	fill_keys(entry, keys);
	for (size_t i = 0; r == 0 && i < array_len(keys); i++)
		r = nfset_has(netns_fd, ISOLATION_TABLE, &keys[i], err);
	return r < 0 ? err_wrap(err, "port %s is not entered", entry->port) : 0;
}

int isolation_ready(int netns_fd, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < array_len(set_names); i++)
		r = nfset_exists(netns_fd, ISOLATION_TABLE, set_names[i], err);
	return r;
}

/* --- the alias --- */

void isolation_alias_append(const struct isolation_entry *entry, char *alias, size_t size)
{
	char mac[MAC_STRLEN], addr[ADDR_STRLEN];
	size_t len = strlen(alias);

	snprintf(alias + len, size - len, " %s %s", mac_format(&entry->mac, mac),
		 addr_format(&entry->addr, addr));
}

bool isolation_alias_parse(const char *alias, struct isolation_entry *ret)
{
	char mac[MAC_STRLEN], addr[ADDR_STRLEN];

	return sscanf(alias, "byway %*s %17s %45s", mac, addr) == 2 &&
	       mac_parse(mac, &ret->mac) == 0 && addr_parse(addr, &ret->addr) == 0 &&
	       ret->addr.family == AF_INET;
}

/* --- entries against ports --- */

struct keys {
	struct nfset_key *items; /* owned */
	size_t n;
};

static void keys_free(struct keys *k)
{
	free(k->items);
}
#define auto_keys __attribute__((cleanup(keys_free)))

static void keys_append(struct keys *k, const struct nfset_key *key)
{
	k->items = xreallocarray(k->items, k->n + 1, sizeof(*k->items));
	k->items[k->n++] = *key;
}

static int key_cmp(const void *left, const void *right)
{
	const struct nfset_key *a = left, *b = right;
	int r = strcmp(a->set, b->set);

	return r ? r : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static void keys_sort(struct keys *k)
{
	if (k->n)
		qsort(k->items, k->n, sizeof(*k->items), key_cmp);
}

/* Those of `a` that `b` has not; both sorted. */
static void keys_subtract(const struct keys *a, const struct keys *b, struct keys *ret)
{
	size_t j = 0;

	for (size_t i = 0; i < a->n; i++) {
		while (j < b->n && key_cmp(&b->items[j], &a->items[i]) < 0)
			j++;
		if (j == b->n || key_cmp(&b->items[j], &a->items[i]) != 0)
			keys_append(ret, &a->items[i]);
	}
}

static void see_key(const struct nfset_key *key, void *data)
{
	keys_append(data, key);
}

static int see_port(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct nfset_key keys[KEYS_PER_ENTRY];
	struct isolation_entry entry = {0};
	struct nlattr *tb[IFLA_MAX + 1];
	int r = msg_parse(hdr, sizeof(struct ifinfomsg), tb, IFLA_MAX, err);

	if (r < 0)
		return r;
	if (!tb[IFLA_GROUP] || nla_get_u32(tb[IFLA_GROUP]) != ISOLATION_GROUP || !tb[IFLA_IFNAME] ||
	    !tb[IFLA_IFALIAS] || !isolation_alias_parse(nla_get_string(tb[IFLA_IFALIAS]), &entry))
		return 0;
	snprintf(entry.port, sizeof(entry.port), "%s", nla_get_string(tb[IFLA_IFNAME]));
	fill_keys(&entry, keys);
	for (size_t i = 0; i < array_len(keys); i++)
		keys_append(data, &keys[i]);
	return 0;
}

static int list_ports(struct net *net, struct keys *ret, struct err *err)
{
	const struct ifinfomsg header = {0};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_GETLINK, NLM_F_DUMP, &header, sizeof(header));
	int r = net_query(net->rtnl, msg, see_port, ret, err);

	return r < 0 ? err_wrap(err, "listing ports") : 0;
}

static int change(struct net *net, enum nfset_verb verb, const struct keys *k, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < k->n; i += NFSET_BATCH_MAX) {
		size_t rest = k->n - i;

		r = nfset_change(net->netns, verb, ISOLATION_TABLE, k->items + i,
				 rest < NFSET_BATCH_MAX ? rest : NFSET_BATCH_MAX, err);
	}
	return r;
}

int isolation_restore(struct net *net, struct isolation_changes *ret, struct err *err)
{
	auto_keys struct keys actual = {0}, wanted = {0}, missing = {0}, stale = {0};
	int r = 0;

	*ret = (struct isolation_changes){0};
	for (size_t i = 0; r == 0 && i < array_len(set_names); i++)
		r = nfset_each(net->netns, ISOLATION_TABLE, set_names[i], see_key, &actual, err);
	if (r == 0)
		r = list_ports(net, &wanted, err);
	if (r < 0)
		return r;
	keys_sort(&actual);
	keys_sort(&wanted);
	keys_subtract(&wanted, &actual, &missing);
	keys_subtract(&actual, &wanted, &stale);
	r = change(net, NFSET_ADD, &missing, err);
	if (r < 0)
		return r;
	ret->entered = missing.n;
	r = change(net, NFSET_DELETE, &stale, err);
	if (r == -ENOENT)
		return 0; /* somebody was faster; the rest of them next time */
	ret->removed = r == 0 ? stale.n : 0;
	return r;
}

#pragma once
/* Elements of nftables sets, by hand over nfnetlink: libnftables is too heavy for a program that runs
 * once a pod. The sets are those of one table of the bridge family; they are made by net_nft().
 */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define NFSET_KEY_MAX 32

/* A key as the kernel has it: the parts of a concatenation one after the other, each padded with
 * zeros to a multiple of four bytes. */
struct nfset_key {
	const char *set;
	uint8_t bytes[NFSET_KEY_MAX];
	size_t len;
};

enum nfset_verb { NFSET_ADD, NFSET_DELETE };

/* At most this many keys in one transaction. */
#define NFSET_BATCH_MAX 64

/* Adds or deletes `n` elements in one transaction in the namespace `netns_fd` (-1: the caller's). An
 * element that is there already is as good as added. -ENOENT where the table or the set is missing,
 * and with NFSET_DELETE where an element is; then nothing has changed. */
int nfset_change(int netns_fd, enum nfset_verb verb, const char *table,
		 const struct nfset_key *keys, size_t n, struct err *err);

/* Calls `fn` for each element of a set. -ENOENT where the table or the set is missing. */
typedef void nfset_seen_fn(const struct nfset_key *key, void *data);
int nfset_each(int netns_fd, const char *table, const char *set, nfset_seen_fn *fn, void *data,
	       struct err *err);

/* 0 where the set is there, and with nfset_has() the element in it; else -ENOENT. */
int nfset_exists(int netns_fd, const char *table, const char *set, struct err *err);
int nfset_has(int netns_fd, const char *table, const struct nfset_key *key, struct err *err);

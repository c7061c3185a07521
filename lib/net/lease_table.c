/* Theory of operation
 *
 * The file holds a header, an index of 16 bytes a slot and a record a slot. A slot is an address:
 * first those of all ranges in order, so that an address is found by arithmetic, then the *retired*
 * ones, whose range is gone while somebody still holds them. Header and index are allocated when the
 * file is made, a record's pages when its slot is first taken; the rest are holes in the tmpfs.
 *
 * The table is empty after a reboot exactly when the links are: a tmpfs and a network namespace are
 * both memory of the kernel that made them, and neither is ever written to a disk. So no lease can
 * outlive its link by a reboot, nor a link its lease, and nothing needs to be compared at boot. What
 * ends one without the other is the death of a pod's namespace, and the node agent looks for that.
 *
 * The lock is an OFD lock on the file. lease_ensure() never changes the layout of a file that
 * others may have mapped: it writes a new one, under the lock of the old, and renames it. Who
 * waited for the lock of the old one notices that the name now leads elsewhere and starts over.
 */
#include "lease_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

#define TABLE_MAGIC 0x31455341454c5942ULL /* "BYLEASE1" in the file */

static size_t table_size(uint32_t n_slots)
{
	return sizeof(struct table_header) +
	       n_slots * (sizeof(struct table_index) + sizeof(struct lease));
}

/* --- the file --- */

static int file_name(const char *dir, const char *network, char ret[PATH_MAX], struct err *err)
{
	if (!*network || *network == '.' || strchr(network, '/'))
		return err_set(err, -EINVAL, "\"%.60s\" is not the name of a network", network);
	if (snprintf(ret, PATH_MAX, "%s/%s", dir, network) >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "%.100s: path too long", dir);
	return 0;
}

/* Waits for the lock. Returns 1 where the file at `path` is no longer the one that is locked. */
static int file_lock(int fd, const char *path, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat mine, there;

	while (fcntl(fd, F_OFD_SETLKW, &lock) < 0) {
		if (errno != EINTR)
			return err_errno(err, -errno, "%s: lock", path);
	}
	if (fstat(fd, &mine) < 0)
		return err_errno(err, -errno, "%s", path);
	return stat(path, &there) < 0 || mine.st_ino != there.st_ino || mine.st_dev != there.st_dev;
}

static int file_open_locked(const char *path, struct err *err)
{
	for (;;) {
		auto_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		int moved;

		if (fd < 0)
			return err_errno(err, -errno, "%s", path);
		moved = file_lock(fd, path, err);
		if (moved < 0)
			return moved;
		if (!moved)
			return steal_fd(&fd);
	}
}

static void table_locate(struct lease_table *t, uint32_t n_slots)
{
	t->index = (struct table_index *)(t->header + 1);
	t->records = (struct lease *)(t->index + n_slots);
}

/* Maps the file of t->fd. What it says about its own layout is believed only where it fits its
 * size. */
static int table_map(struct lease_table *t, const char *path, struct err *err)
{
	const struct table_header *h;
	struct stat st;
	void *map;

	if (fstat(t->fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(*h))
		return err_set(err, -EUCLEAN, "%s: not a lease table", path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (map == MAP_FAILED)
		return err_errno(err, -errno, "%s: mmap", path);
	t->header = map;
	t->size = (size_t)st.st_size;
	h = map;
	if (h->magic != TABLE_MAGIC || h->record_size != sizeof(struct lease) ||
	    h->n_slots > 2 * TABLE_SLOTS_MAX || t->size != table_size(h->n_slots) ||
	    h->n_range_slots > h->n_slots || h->n_ranges > TABLE_RANGES_MAX)
		return err_set(err, -EUCLEAN, "%s: not a lease table of this version", path);
	table_locate(t, h->n_slots);
	return 0;
}

void lease_close(struct lease_table *t)
{
	if (t->header)
		munmap(t->header, t->size);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static struct lease_table *table_new(const char *network)
{
	struct lease_table *t = xcalloc(1, sizeof(*t));

	t->fd = -1;
	snprintf(t->network, sizeof(t->network), "%s", network);
	return t;
}

int lease_open(const char *dir, const char *network, struct lease_table **ret, struct err *err)
{
	auto_lease_table struct lease_table *t = table_new(network);
	char path[PATH_MAX];
	int r;

	r = file_name(dir, network, path, err);
	if (r < 0)
		return r;
	t->fd = file_open_locked(path, err);
	if (t->fd < 0)
		return t->fd;
	r = table_map(t, path, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(t);
	return 0;
}

/* posix_fallocate() with the words for it. */
static int allocate(const struct lease_table *t, size_t offset, size_t size, struct err *err)
{
	int r = posix_fallocate(t->fd, (off_t)offset, (off_t)size);

	if (r)
		return err_set(err, -ENOMEM, "network %s: no room for the lease table: %s",
			       t->network, strerror(r));
	return 0;
}

int lease_table_reserve(const struct lease_table *t, uint32_t slot, struct err *err)
{
	const char *record = (const char *)&t->records[slot];

	return allocate(t, (size_t)(record - (const char *)t->header), sizeof(struct lease), err);
}

/* --- slots and addresses --- */

static uint32_t slot_in_ranges(const struct lease_table *t, const struct addr *addr)
{
	for (uint32_t i = 0; i < t->header->n_ranges; i++) {
		const struct table_range *r = &t->header->ranges[i];

		if (addr_range_contains(&r->lease.range, addr))
			return r->first_slot + (uint32_t)addr_distance(&r->lease.range.first, addr);
	}
	return NO_SLOT;
}

uint32_t lease_table_slot(const struct lease_table *t, const struct addr *addr)
{
	uint32_t slot = slot_in_ranges(t, addr);

	for (uint32_t s = t->header->n_range_slots; slot == NO_SLOT && s < t->header->n_slots;
	     s++) {
		if (t->index[s].state != LEASE_FREE && addr_equal(&t->records[s].addr, addr))
			slot = s;
	}
	return slot;
}

struct addr lease_table_addr(const struct lease_table *t, uint32_t slot)
{
	const struct table_range *r = &t->header->ranges[0];

	if (slot >= t->header->n_range_slots)
		return t->records[slot].addr;
	while (r + 1 < &t->header->ranges[t->header->n_ranges] && slot >= r[1].first_slot)
		r++;
	return addr_add(&r->lease.range.first, slot - r->first_slot);
}

/* --- making the table --- */

static int ranges_check(const char *network, const struct lease_range *ranges, size_t n,
			uint32_t *n_slots, struct err *err)
{
	uint64_t total = 0;

	if (n > TABLE_RANGES_MAX)
		return err_set(err, -E2BIG, "network %s: %zu ranges, at most %d are allowed",
			       network, n, TABLE_RANGES_MAX);
	for (size_t i = 0; i < n; i++) {
		uint64_t size = addr_range_size(&ranges[i].range);
		char a[RANGE_STRLEN], b[RANGE_STRLEN];

		if (size > TABLE_SLOTS_MAX || total + size > TABLE_SLOTS_MAX)
			return err_set(err, -E2BIG,
				       "network %s: more than %u addresses on one node", network,
				       TABLE_SLOTS_MAX);
		total += size;
		for (size_t j = 0; j < i; j++) {
			if (addr_range_overlaps(&ranges[i].range, &ranges[j].range))
				return err_set(err, -EINVAL, "network %s: ranges %s and %s overlap",
					       network, addr_range_format(&ranges[j].range, a),
					       addr_range_format(&ranges[i].range, b));
		}
	}
	*n_slots = (uint32_t)total;
	return 0;
}

/* Ours padded with zeros, so that two can be compared as bytes. */
static struct lease_range range_clean(const struct lease_range *in)
{
	struct lease_range out;

	memset(&out, 0, sizeof(out));
	snprintf(out.role, sizeof(out.role), "%s", in->role);
	out.range.first.family = in->range.first.family;
	out.range.last.family = in->range.last.family;
	memcpy(out.range.first.bytes, in->range.first.bytes, addr_size(&in->range.first));
	memcpy(out.range.last.bytes, in->range.last.bytes, addr_size(&in->range.last));
	return out;
}

static bool ranges_unchanged(const struct table_header *h, const struct lease_range *ranges,
			     size_t n)
{
	if (h->n_ranges != n || h->n_slots != h->n_range_slots)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct lease_range clean = range_clean(&ranges[i]);

		if (memcmp(&h->ranges[i].lease, &clean, sizeof(clean)) != 0)
			return false;
	}
	return true;
}

static void header_fill(struct lease_table *t, const struct lease_range *ranges, size_t n,
			uint32_t n_range_slots, uint32_t n_slots)
{
	struct table_header *h = t->header;
	uint32_t slot = 0;

	h->magic = TABLE_MAGIC;
	h->record_size = sizeof(struct lease);
	h->n_ranges = (uint32_t)n;
	h->n_range_slots = n_range_slots;
	h->n_slots = n_slots;
	for (uint32_t i = 0; i < n; i++) {
		struct table_range *r = &h->ranges[i];
		uint32_t size = (uint32_t)addr_range_size(&ranges[i].range);

		r->lease = range_clean(&ranges[i]);
		r->first_slot = r->cursor = slot;
		while (strcmp(h->ranges[r->role].lease.role, r->lease.role) != 0)
			r->role++;
		for (uint32_t end = slot + size; slot < end; slot++)
			t->index[slot].role = (uint8_t)r->role;
	}
}

/* Takes over who holds and who held what. Holders outside the new ranges come to the retired slots.
 */
static int table_copy(struct lease_table *to, const struct lease_table *from, struct err *err)
{
	uint32_t retired = to->header->n_range_slots;

	for (uint32_t s = 0; s < from->header->n_slots; s++) {
		const struct table_index *old = &from->index[s];
		struct addr addr;
		uint32_t slot;

		if (old->state == LEASE_FREE && !old->freed_at)
			continue;
		addr = lease_table_addr(from, s);
		slot = slot_in_ranges(to, &addr);
		if (slot == NO_SLOT && old->state == LEASE_FREE)
			continue;
		if (slot == NO_SLOT)
			slot = retired++;
		if (lease_table_reserve(to, slot, err) < 0)
			return err->code;
		to->records[slot] = from->records[s];
		to->index[slot] = (struct table_index){.owner_hash = old->owner_hash,
						       .pod_hash = old->pod_hash,
						       .freed_at = old->freed_at,
						       .state = old->state,
						       .role = to->index[slot].role};
	}
	return 0;
}

/* How many that `old` holds have no place in the new ranges. */
static uint32_t count_retired(const struct lease_table *old, const struct lease_range *ranges,
			      size_t n)
{
	uint32_t count = 0;

	for (uint32_t s = 0; s < old->header->n_slots; s++) {
		struct addr addr;
		bool inside = false;

		if (old->index[s].state == LEASE_FREE)
			continue;
		addr = lease_table_addr(old, s);
		for (size_t i = 0; i < n && !inside; i++)
			inside = addr_range_contains(&ranges[i].range, &addr);
		count += !inside;
	}
	return count;
}

/* Fills the empty file of t->fd with the table for `ranges`. */
static int table_fill(struct lease_table *t, const struct lease_range *ranges, size_t n,
		      uint32_t n_range_slots, const struct lease_table *old, struct err *err)
{
	uint32_t n_slots = n_range_slots + (old ? count_retired(old, ranges, n) : 0);
	size_t size = table_size(n_slots);
	void *map;
	int r;

	if (ftruncate(t->fd, (off_t)size) < 0)
		return err_errno(err, -errno, "ftruncate");
	r = allocate(t, 0, size - n_slots * sizeof(struct lease), err);
	if (r < 0)
		return r;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (map == MAP_FAILED)
		return err_errno(err, -errno, "mmap");
	t->header = map;
	t->size = size;
	table_locate(t, n_slots);
	header_fill(t, ranges, n, n_range_slots, n_slots);
	return old ? table_copy(t, old, err) : 0;
}

/* Writes the table for `ranges` beside `path` and puts it in its place. `old` may be NULL. */
static int table_write(const char *dir, const char *path, const char *network,
		       const struct lease_range *ranges, size_t n, const struct lease_table *old,
		       struct err *err)
{
	auto_lease_table struct lease_table *t = table_new(network);
	uint32_t n_range_slots = 0;
	char temp[PATH_MAX];
	int r;

	r = ranges_check(network, ranges, n, &n_range_slots, err);
	if (r < 0)
		return r;
	/* The name of no network. */
	if (snprintf(temp, sizeof(temp), "%s/.new", dir) >= (int)sizeof(temp))
		return err_set(err, -ENAMETOOLONG, "%.100s: path too long", dir);
	t->fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0)
		return err_errno(err, -errno, "%s", temp);
	r = table_fill(t, ranges, n, n_range_slots, old, err);
	if (r == 0 && rename(temp, path) < 0)
		r = err_errno(err, -errno, "rename");
	if (r < 0) {
		unlink(temp);
		return err_wrap(err, "%s", temp);
	}
	return 0;
}

/* mkdir -p */
static int make_dir(const char *dir, struct err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "%.100s: path too long", dir);
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_errno(err, -errno, "%s", path);
		if (!c)
			return 0;
		*p = c;
	}
}

int lease_ensure(const char *dir, const char *network, const struct lease_range *ranges, size_t n,
		 struct err *err)
{
	auto_lease_table struct lease_table *old = NULL;
	auto_close int dir_fd = -1;
	char path[PATH_MAX];
	int r;

	r = file_name(dir, network, path, err);
	if (r == 0)
		r = make_dir(dir, err);
	if (r < 0)
		return r;
	/* One maker at a time, also where there is no table yet whose lock it could hold. */
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || flock(dir_fd, LOCK_EX) < 0)
		return err_errno(err, -errno, "%s", dir);
	r = lease_open(dir, network, &old, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (old && ranges_unchanged(old->header, ranges, n))
		return 0;
	return table_write(dir, path, network, ranges, n, old, err);
}

/* Network namespaces: entering one for the length of a scope, and making a named one the way
 * `ip netns add` does: a bind mount of the namespace under /run/netns keeps it alive. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "mem.h"

#define OWN_NETNS "/proc/thread-self/ns/net"

int netns_enter(int fd, int *saved, struct err *err)
{
	auto_close int own = -1;

	*saved = -1;
	if (fd < 0)
		return 0;
	own = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return err_errno(err, -errno, OWN_NETNS);
	if (setns(fd, CLONE_NEWNET) < 0)
		return err_errno(err, -errno, "entering the network namespace");
	*saved = steal_fd(&own);
	return 0;
}

void netns_leave(const int *saved)
{
	if (*saved < 0)
		return;
	if (setns(*saved, CLONE_NEWNET) < 0)
		abort();
	close(*saved);
}

/* Is a namespace mounted here? An empty file remains where its maker died half-way. */
static bool is_namespace(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

/* The directory must be a mount of its own that is shared, else other mount namespaces (containers
 * started before) would never see the namespaces that are mounted in it. */
static int directory_ensure(const char *dir, struct err *err)
{
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "%s", dir);
	if (mount("", dir, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL) /* EINVAL: not a mount point yet */
		return err_errno(err, -errno, "%s: making the mount shared", dir);
	if (mount(dir, dir, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", dir, "none", MS_SHARED | MS_REC, NULL) < 0)
		return err_errno(err, -errno, "%s: mounting it on itself", dir);
	return 0;
}

/* Makes a new namespace, mounts it at `path`, and comes back. */
static int namespace_create(const char *path, struct err *err)
{
	auto_close int own = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (own < 0)
		return err_errno(err, -errno, OWN_NETNS);
	if (unshare(CLONE_NEWNET) < 0)
		return err_errno(err, -errno, "a new network namespace");
	if (mount(OWN_NETNS, path, "none", MS_BIND, NULL) < 0)
		r = err_errno(err, -errno, "%s: mounting the namespace", path);
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return r;
}

static int loopback_up(int netns, struct err *err)
{
	const struct ifinfomsg header = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	auto_nl_msg struct nl_msg *msg = msg_new(RTM_NEWLINK, 0, &header, sizeof(header));
	auto_nl_sock struct nl_sock *sk = NULL;
	int r = net_socket(NETLINK_ROUTE, netns, &sk, err);

	if (r == 0)
		r = net_talk(sk, msg, err);
	return r < 0 ? err_wrap(err, "loopback") : 0;
}

/* The part of netns_ensure() that must not run twice at a time. */
static int ensure_locked(const char *path, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_CREAT, 0444);
	int r;

	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	if (is_namespace(fd))
		return 0;
	r = namespace_create(path, err);
	if (r < 0)
		return r;
	close(steal_fd(&fd));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	return loopback_up(fd, err);
}

int netns_ensure(const char *path, struct err *err)
{
	auto_free char *copy = xstrdup(path);
	const char *dir = dirname(copy);
	auto_close int lock = -1;
	int r = directory_ensure(dir, err);

	if (r < 0)
		return r;
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_errno(err, -errno, "%s", dir);
	return ensure_locked(path, err);
}

#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"

int netns_open(const char *path, int *ret, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct statfs fs;

	if (fd < 0)
		return err_errno(err, -errno, "%.150s", path);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC ||
	    ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_set(err, -EINVAL, "%.150s: not a network namespace", path);
	*ret = steal_fd(&fd);
	return 0;
}

bool netns_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

bool netns_is_own(int fd)
{
	auto_close int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return own >= 0 && netns_same(own, fd);
}

enum cni_code netns_open_both(const char *pod_path, const char *bridge_path, int *pod, int *bridge,
			      struct err *err)
{
	if (netns_open(pod_path, pod, err) < 0)
		return CNI_BAD_NETNS;
	if (netns_is_own(*pod)) {
		err_set(err, -EINVAL, "%s is the host's own network namespace", pod_path);
		return CNI_BAD_NETNS;
	}
	if (netns_open(bridge_path, bridge, err) < 0) {
		err_wrap(err, "the node agent (byway-node) is not ready");
		return CNI_AGAIN;
	}
	if (netns_same(*pod, *bridge)) {
		err_set(err, -EINVAL, "%s is the node agent's network namespace", pod_path);
		return CNI_BAD_NETNS;
	}
	return CNI_OK;
}

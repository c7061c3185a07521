/* An open namespace: its sockets, its interface names, its sysctls. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "mem.h"

static int open_namespaces(const char *netns, struct net *net, struct err *err)
{
	net->underlay = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (net->underlay < 0)
		return err_errno(err, -errno, "/proc/thread-self/ns/net");
	net->netns = netns ? open(netns, O_RDONLY | O_CLOEXEC)
			   : fcntl(net->underlay, F_DUPFD_CLOEXEC, 0);
	if (net->netns < 0)
		return err_errno(err, -errno, "%s", netns ? netns : "network namespace");
	return 0;
}

int net_open(const char *netns, struct net **ret, struct err *err)
{
	auto_net struct net *net = xcalloc(1, sizeof(*net));
	int r;

	net->netns = net->underlay = -1;
	r = open_namespaces(netns, net, err);
	if (r == 0)
		r = net_socket(NETLINK_ROUTE, net->underlay, &net->rtnl_underlay, err);
	if (r == 0)
		r = net_socket(NETLINK_ROUTE, net->netns, &net->rtnl, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(net);
	return 0;
}

void net_close(struct net *net)
{
	if (net->nft)
		net->nft_free(net->nft);
	free(net->services);
	nl_sockp(&net->genl);
	nl_sockp(&net->rtnl);
	nl_sockp(&net->rtnl_underlay);
	cleanup_close(&net->netns);
	cleanup_close(&net->underlay);
	free(net);
}

void net_own_services(struct net *net, const struct prefix *prefixes, size_t n)
{
	net->services = xreallocarray(net->services, n + 1, sizeof(*prefixes));
	memcpy(net->services, prefixes, n * sizeof(*prefixes));
	net->n_services = n;
}

/* Any socket answers these, in its own namespace, without a dump (net/core/dev_ioctl.c). */
unsigned int net_ifindex(const struct net *net, const char *name)
{
	struct ifreq req = {0};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(nl_socket_get_fd(net->rtnl), SIOCGIFINDEX, &req) < 0)
		return 0;
	return (unsigned int)req.ifr_ifindex;
}

void net_ifname(const struct net *net, unsigned int index, char name[static IFNAMSIZ])
{
	struct ifreq req = {.ifr_ifindex = (int)index};

	name[0] = '\0';
	if (index && ioctl(nl_socket_get_fd(net->rtnl), SIOCGIFNAME, &req) == 0)
		memcpy(name, req.ifr_name, IFNAMSIZ);
}

/* --- events --- */

int net_watch(struct net *net, enum net_watch what, struct err *err)
{
	static const struct {
		int protocol;
		unsigned int group;
	} sources[] = {
		[NET_WATCH_LINKS] = {NETLINK_ROUTE, RTNLGRP_LINK},
		[NET_WATCH_NFTABLES] = {NETLINK_NETFILTER, NFNLGRP_NFTABLES},
	};
	const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
					   .nl_groups = 1U << (sources[what].group - 1)};
	auto_netns int saved = -1;
	auto_close int fd = -1;
	int r = netns_enter(net->netns, &saved, err);

	if (r < 0)
		return r;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, sources[what].protocol);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
		return err_errno(err, -errno, "watching the namespace");
	return steal_fd(&fd);
}

/* An overrun (ENOBUFS) is an event like others: the caller looks at everything anyway. */
void net_watch_drain(int fd)
{
	char buf[4096];

	while (recv(fd, buf, sizeof(buf), MSG_TRUNC) > 0 || errno == ENOBUFS)
		errno = 0;
}

/* --- sysctls --- */

/* "net.ipv4.ip_forward" and, where a part has a dot (an interface eth0.5),
 * "net/ipv4/conf/eth0.5/…", as sysctl(8) reads them. */
static char *sysctl_path(const char *key)
{
	char *path = xasprintf("/proc/sys/%s", key);

	for (char *p = path; *p && !strchr(key, '/'); p++) {
		if (*p == '.')
			*p = '/';
	}
	return path;
}

/* A value that is right already is not written: /proc/sys may be read-only here. */
static bool sysctl_is(int fd, const char *value)
{
	char buf[256];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return !strcmp(buf, value);
}

int sysctl_write(const char *key, const char *value, struct err *err)
{
	auto_free char *path = sysctl_path(key);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && sysctl_is(fd, value))
		return 0;
	cleanup_close(&fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return err_errno(err, -errno, "sysctl %s = %s", key, value);
	return 0;
}

int net_sysctl(struct net *net, const char *key, const char *value, struct err *err)
{
	auto_netns int saved = -1; /* /proc/sys/net shows the opener's namespace */
	int r = netns_enter(net->netns, &saved, err);

	return r < 0 ? r : sysctl_write(key, value, err);
}

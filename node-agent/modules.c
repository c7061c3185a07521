#include "modules.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "mem.h"

extern char **environ;

static const char *const names[] = {
	"vxlan",     "bridge",	     "veth",
	"macvlan",					     /* the network */
	"wireguard",					     /* gateways */
	"ip_vs",     "ip_vs_mh",			     /* routers */
	"nf_tables", "nf_conntrack", "nf_conntrack_netlink", /* both */
};

/* Loaded, or part of the kernel and showing it. */
static bool is_loaded(const char *name)
{
	auto_free char *path = xasprintf("/sys/module/%s", name);
	struct stat st;

	return stat(path, &st) == 0;
}

static bool modprobe(const char *name)
{
	char *const argv[] = {(char *)"modprobe", (char *)"-q", (char *)name, NULL};
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void node_modules_load(struct strbuf *missing)
{
	for (size_t i = 0; i < array_len(names); i++) {
		if (!is_loaded(names[i]) && !modprobe(names[i]))
			strbuf_add(missing, "%s%s", missing->len ? " " : "", names[i]);
	}
}

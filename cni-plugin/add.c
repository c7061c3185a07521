/* ADD. The order is what makes a kill at any point recoverable: the lease is reserved with the name
 * of its owner before there is a link, the link carries that name before it carries an address, and
 * the lease is active before anybody is told. What can be refused is refused before anything is
 * reserved. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

#include "cleanup.h"
#include "env.h"
#include "ipam.h"
#include "lease.h"
#include "netconf.h"
#include "netns.h"
#include "request.h"
#include "result.h"
#include "role.h"

/* An ADD on its way, with what must be undone where it fails. */
struct add {
	const struct cni_env *env;
	const struct config_text *text;
	struct netconf conf;
	struct result result; /* of those before us in the chain; ours comes to it */
	int pod_netns;
	int bridge_netns;
	struct attachment link;
	bool leased;
	bool delegated; /* the delegate has given an address */
};

static void add_clear(struct add *a)
{
	netconf_clear(&a->conf);
	result_clear(&a->result);
	attachment_clear(&a->link);
	cleanup_close(&a->pod_netns);
	cleanup_close(&a->bridge_netns);
}
#define auto_add __attribute__((cleanup(add_clear)))

/* What the runtime and the user want, as far as it can be judged by reading. */
static enum cni_code read_wishes(struct add *a, struct err *err)
{
	enum cni_code code = netconf_load(a->text, &a->conf, err);

	if (!code)
		code = request_complete(&a->conf, a->env, err);
	if (code)
		return code;
	if (result_previous(a->text, a->conf.version, &a->result, err) < 0 ||
	    result_fits(&a->result, a->conf.role != ROLE_GATEWAY, a->conf.version, err) < 0)
		return CNI_BAD_CONFIG;
	attach_name(&a->link, a->env->container_id, a->env->ifname);
	snprintf(a->link.bridge, sizeof(a->link.bridge), "br-%s", a->conf.network);
	a->link.mtu = a->conf.mtu;
	a->link.mac = a->conf.mac;
	a->link.client = a->conf.role == ROLE_CLIENT;
	return CNI_OK;
}

static enum cni_code open_namespaces(struct add *a, struct err *err)
{
	enum cni_code code =
		netns_open_both(a->env->netns, a->conf.netns, &a->pod_netns, &a->bridge_netns, err);

	a->link.pod_netns = a->pod_netns;
	a->link.bridge_netns = a->bridge_netns;
	return code;
}

/* Nothing is there yet, and nobody else is making it. Who knows an attachment only by container and
 * interface, as a delegate does, would take back the first one's address when a second one failed.
 * The lock on the namespace ends with this process. */
static enum cni_code check_absent(struct add *a, struct err *err)
{
	int r;

	if (flock(a->pod_netns, LOCK_EX | LOCK_NB) < 0) {
		err_errno(err, -errno, "%s: another ADD is at work", a->env->netns);
		return CNI_AGAIN;
	}
	r = attach_absent(a->pod_netns, a->link.ifname, err);
	if (r == 0 && (a->conf.ipam_type || a->conf.role == ROLE_GATEWAY))
		r = attach_absent(a->bridge_netns, a->link.port, err);
	return r == -EEXIST ? CNI_ATTACHED : r < 0 ? CNI_IO : CNI_OK;
}

static enum cni_code lease_code(int r, struct err *err)
{
	switch (r) {
	case -ENOENT:
		err_wrap(err, "the node agent (byway-node) has made no lease table");
		return CNI_AGAIN;
	case -ENOSPC:
	case -ERANGE:
		return CNI_NO_ADDRESS;
	case -EADDRINUSE:
		return CNI_ADDRESS_IN_USE;
	case -EEXIST:
		return CNI_ATTACHED;
	default:
		return CNI_IO;
	}
}

/* What the table hands out must make sense on the network that the configuration describes. */
static enum cni_code check_leased(const struct add *a, const struct addr *addr, struct err *err)
{
	char text[ADDR_STRLEN], subnet[PREFIX_STRLEN];

	if (prefix_contains(&a->conf.subnet, addr) && !addr_equal(addr, &a->conf.vip))
		return CNI_OK;
	err_set(err, -EINVAL, "network %s: the node's lease table hands out %s, %s %s",
		a->conf.network, addr_format(addr, text),
		addr_equal(addr, &a->conf.vip) ? "the VIP of" : "which is outside",
		prefix_format(&a->conf.subnet, subnet));
	return CNI_BAD_CONFIG;
}

static enum cni_code reserve(struct add *a, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	const struct addr *requested = a->conf.ips.n ? a->conf.ips.items : NULL;
	struct addr addr = {0};
	int r = lease_open(a->conf.lease_dir, a->conf.network, &table, err);

	if (r == 0)
		r = lease_take(table, cni_role_names[a->conf.role], a->env->container_id,
			       a->env->ifname, a->env->pod_uid, requested, lease_now(), &addr, err);
	if (r < 0)
		return lease_code(r, err);
	a->leased = true;
	a->link.addr = (struct prefix){.addr = addr, .len = a->conf.subnet.len};
	return check_leased(a, &addr, err);
}

/* A gateway has no address that its MAC could follow. */
static int random_mac(struct mac *ret, struct err *err)
{
	if (getrandom(ret->bytes, sizeof(ret->bytes), 0) != (ssize_t)sizeof(ret->bytes))
		return err_errno(err, -errno, "random numbers");
	ret->bytes[0] = 0x06; /* locally administered, and not the 02 of mac_from_addr() */
	return 0;
}

/* Addresses, routes and DNS of the delegate. */
static enum cni_code ask_delegate(struct add *a, struct err *err)
{
	auto_result struct result given = {0};
	enum cni_code code = ipam_add(a->env, &a->conf, a->text, &given, err);

	if (code)
		return code;
	a->delegated = true;
	result_take_dns(&a->result, &given.dns);
	return ipam_use(&a->conf, &given, &a->link, err);
}

/* The MAC address is the one that was asked for, or the address's. */
static enum cni_code choose_address(struct add *a, struct err *err)
{
	static const struct mac none;
	bool wanted = !mac_equal(&a->conf.mac, &none);
	enum cni_code code;

	if (a->conf.role == ROLE_GATEWAY)
		return !wanted && random_mac(&a->link.mac, err) < 0 ? CNI_IO : CNI_OK;
	code = a->conf.ipam_type ? ask_delegate(a, err) : reserve(a, err);
	if (!code && !wanted)
		a->link.mac = mac_from_addr(&a->link.addr.addr);
	return code;
}

static enum cni_code create_link(struct add *a, struct err *err)
{
	int r = attach_create(&a->link, err);

	if (r == -ENODEV) {
		err_wrap(err, "the node agent (byway-node) is not ready");
		return CNI_AGAIN;
	}
	if (r == -EMSGSIZE)
		return CNI_BAD_CONFIG;
	return r == -EEXIST ? CNI_ATTACHED : r < 0 ? CNI_IO : CNI_OK;
}

static int write_sysctls(struct add *a, struct err *err)
{
	struct attach_sysctl list[ROLE_SYSCTLS_MAX];
	size_t n = role_sysctls(a->conf.role, a->env->ifname, list);
	int r = n ? attach_sysctls(a->pod_netns, list, n, err) : 0;

	if (r == -ENOENT)
		err_wrap(err, "a kernel module is not loaded (byway-node loads them)");
	return r;
}

static int activate(struct add *a, struct err *err)
{
	auto_lease_table struct lease_table *table = NULL;
	int r;

	if (!a->leased)
		return 0;
	r = lease_open(a->conf.lease_dir, a->conf.network, &table, err);
	return r < 0 ? r : lease_activate(table, a->env->container_id, a->env->ifname, err);
}

static int report(struct add *a, struct err *err)
{
	auto_free char *text = NULL;

	result_append(&a->result, &a->link, a->env->netns, &a->conf.vip);
	result_take_dns(&a->result, &a->conf.dns);
	text = result_format(&a->result, a->conf.version);
	return result_write(text, err);
}

/* The link goes before its address is anybody else's. */
static void roll_back(struct add *a)
{
	auto_lease_table struct lease_table *table = NULL;
	struct err ignored = {0};

	attach_undo(&a->link);
	if (a->leased && lease_open(a->conf.lease_dir, a->conf.network, &table, &ignored) == 0)
		lease_release(table, a->env->container_id, a->env->ifname, lease_now(), &ignored);
	if (a->delegated)
		ipam_del(a->env, &a->conf, a->text, &ignored);
}

static enum cni_code attach(struct add *a, struct err *err)
{
	enum cni_code code = choose_address(a, err);

	if (!code)
		code = create_link(a, err);
	if (code)
		return code;
	role_routes(&a->conf, &a->link);
	if (write_sysctls(a, err) < 0 || attach_configure(&a->link, err) < 0 ||
	    activate(a, err) < 0 || report(a, err) < 0)
		return CNI_IO;
	return CNI_OK;
}

enum cni_code cni_add(const struct cni_env *env, const struct config_text *text, struct err *err)
{
	auto_add struct add a = {.env = env, .text = text, .pod_netns = -1, .bridge_netns = -1};
	enum cni_code code = read_wishes(&a, err);

	if (!code)
		code = open_namespaces(&a, err);
	if (!code)
		code = check_absent(&a, err);
	if (code)
		return code;
	code = attach(&a, err);
	if (code)
		roll_back(&a);
	return code;
}

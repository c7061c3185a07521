#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack.h"
#include "desired.h"
#include "log.h"
#include "wireguard.h"

int apply_check(struct net *net, const struct gateway_config *config, struct model *m,
		struct err *err)
{
	struct link_object link;

	if (net_link_get(net, config->interface, &link, err) < 0)
		return err_wrap(err, "network.interface");
	if (config->mtu > link.mtu)
		return err_set(err, -EINVAL, "mtu: %u is more than the %u of %s", config->mtu,
			       link.mtu, config->interface);
	if (net_link_get(net, config->track, &link, err) < 0)
		return err_wrap(err, "track");
	m->underlay_mtu = link.mtu;
	return 0;
}

/* --- sysctls --- */

static bool sysctl_is(const char *path, const char *value)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return !strcmp(text, value);
}

/* Writes only what differs: in a container /proc/sys may be read-only, and the CNI plugin has
 * written there what its role needs. */
static int ensure_sysctl(struct net *net, const char *key, const char *value, struct err *err)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/%s", key);
	for (char *p = path + strlen("/proc/sys/"); *p; p++) {
		if (*p == '.')
			*p = '/';
	}
	if (sysctl_is(path, value))
		return 0;
	return net_sysctl(net, key, value, err);
}

/* Packets come in by another interface than the main table would send their answers. */
static int ensure_no_rp_filter(struct net *net, const char *dev, struct err *err)
{
	char key[64];

	snprintf(key, sizeof(key), "net.ipv4.conf.%s.rp_filter", dev);
	return ensure_sysctl(net, key, "0", err);
}

static int apply_sysctls(struct net *net, const struct gateway_config *config, struct err *err)
{
	int r = ensure_sysctl(net, "net.ipv4.fwmark_reflect", "1", err);

	for (size_t i = 0; r == 0 && i < config->exits.n; i++) {
		char dev[IFNAMSIZ];

		desired_side_name(config_exit(config, i), dev);
		r = ensure_no_rp_filter(net, dev, err);
		if (r < 0)
			break;
		desired_tunnel_name(config_exit(config, i), dev);
		r = ensure_no_rp_filter(net, dev, err);
	}
	return r;
}

/* --- objects, ruleset, devices --- */

static void log_failed(const struct plan_step *step, const struct err *err, void *data)
{
	auto_strbuf struct strbuf object = {0};

	(void)data;
	object_print(&step->object, &object);
	log_warn("step failed", "object=\"%s\" why=\"%s\"", strbuf_text(&object), err->text);
}

static int apply_ruleset(struct net *net, const struct gateway_config *config,
			 const struct model *m, struct err *err)
{
	auto_strbuf struct strbuf b = {0};
	int r;

	desired_ruleset(config, m, &b);
	r = net_nft(net, strbuf_text(&b), err);
	return r < 0 ? err_wrap(err, "ruleset") : 0;
}

int apply_signs(struct net *net, const struct gateway_config *config, const struct model *m,
		struct err *err)
{
	auto_strbuf struct strbuf b = {0};

	desired_signs(config, m, &b);
	if (net_nft(net, strbuf_text(&b), err) == 0)
		return 0;
	log_warn("signs of life cannot be given, writing the whole ruleset", "why=\"%s\"",
		 err->text);
	return apply_ruleset(net, config, m, err);
}

static int apply_device(struct net *net, const struct gateway_config *config, const struct model *m,
			size_t i, struct err *err)
{
	auto_wg_device struct wg_device wanted = {0}, actual = {0};
	bool endpoints = true;

	desired_device(config, m, i, &wanted);
	if (wg_device_get(net, wanted.name, &actual, err) < 0)
		return err->code;
	/* Endpoints roam, so that they do not count as a difference; but each must have one. */
	for (size_t j = 0; j < actual.n_peers; j++)
		endpoints &= actual.peers[j].endpoint.ss_family != 0;
	if (endpoints && wg_device_equal(&wanted, &actual))
		return 0;
	return wg_device_set(net, &wanted, err);
}

int apply_devices(struct net *net, const struct gateway_config *config, const struct model *m,
		  struct err *err)
{
	int first = 0;

	for (size_t i = 0; i < config->exits.n; i++) {
		struct err why = {0};

		if (apply_device(net, config, m, i, &why) == 0)
			continue;
		if (!first)
			*err = why;
		first = first ? first : why.code;
	}
	return first;
}

/* Remembers the first error of several steps. */
static void keep_first(struct err *first, int *result, const struct err *why, int r)
{
	if (r < 0 && *result == 0) {
		*first = *why;
		*result = r;
	}
}

int apply_all(struct net *net, const struct gateway_config *config, struct model *m,
	      struct err *err)
{
	auto_object_list struct object_list wanted = {0};
	struct err why = {0};
	int result = 0;

	/* Without the kill switch nothing may be brought up. */
	if (apply_ruleset(net, config, m, err) < 0)
		return err->code;
	desired_objects(config, m, &wanted);
	keep_first(err, &result, &why,
		   net_reconcile(net, &wanted, &m->actual, log_failed, NULL, &why));
	keep_first(err, &result, &why, apply_sysctls(net, config, &why));
	keep_first(err, &result, &why, apply_devices(net, config, m, &why));
	return result;
}

int apply_exit(struct net *net, const struct gateway_config *config, struct model *m,
	       struct err *err)
{
	auto_object_list struct object_list wanted = {0};

	desired_objects(config, m, &wanted);
	return net_update(net, &wanted, &m->actual, log_failed, NULL, err);
}

int apply_exit_down(struct net *net, const struct gateway_config *config, const struct model *m,
		    size_t i, struct err *err)
{
	int r = apply_signs(net, config, m, err);

	return r < 0 ? r : net_conntrack_forget(net, desired_flow_mark(i), err);
}

/* --- observing --- */

static void sum_peers(const struct wg_device *dev, struct exit_model *x)
{
	x->last_handshake = 0;
	x->rx_bytes = x->tx_bytes = 0;
	for (size_t j = 0; j < dev->n_peers; j++) {
		if (dev->peers[j].last_handshake > x->last_handshake)
			x->last_handshake = dev->peers[j].last_handshake;
		x->rx_bytes += dev->peers[j].rx_bytes;
		x->tx_bytes += dev->peers[j].tx_bytes;
	}
}

int apply_observe_tunnel(struct net *net, const struct gateway_config *config, struct model *m,
			 size_t i, struct err *err)
{
	auto_wg_device struct wg_device dev = {0};
	char name[IFNAMSIZ];

	desired_tunnel_name(config_exit(config, i), name);
	if (wg_device_get(net, name, &dev, err) < 0)
		return err->code;
	sum_peers(&dev, &m->exits[i]);
	return 0;
}

int apply_rekey(struct net *net, const struct gateway_config *config, const struct model *m,
		size_t i, struct err *err)
{
	auto_wg_device struct wg_device wanted = {0};

	/* Setting a device replaces its peers, and a new peer knows no session. */
	desired_device(config, m, i, &wanted);
	return wg_device_set(net, &wanted, err);
}

#include "model.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "cleanup.h"

static const struct config_bounds mtu_bounds = {0, 65536};

static const struct config_field model_fields[] = {
	{"underlayMtu", config_uint, offsetof(struct node_model, underlay_mtu), &mtu_bounds, true},
	{"objects", object_list_decode, offsetof(struct node_model, objects), NULL, true},
};
static const struct config_object model_object = {model_fields, array_len(model_fields)};

void node_model_free(struct node_model *model)
{
	object_list_free(&model->objects);
}

int node_model_load(const char *file, struct node_model *ret, struct err *err)
{
	auto_config_text struct config_text text = {0};
	struct config_value root;
	int r = config_text_load(file, &text, err);

	if (r < 0)
		return r;
	root = config_root(&text);
	return config_object(&root, ret, &model_object, err);
}

static void cleanup_ifaddrs(struct ifaddrs **list)
{
	if (*list)
		freeifaddrs(*list);
}

static bool carries(const struct ifaddrs *i, const struct addr *address)
{
	const void *bytes;

	if (!i->ifa_addr || i->ifa_addr->sa_family != address->family)
		return false;
	bytes = address->family == AF_INET
			? (const void *)&((const struct sockaddr_in *)i->ifa_addr)->sin_addr
			: (const void *)&((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
	return !memcmp(bytes, address->bytes, addr_size(address));
}

static int link_mtu(const char *name, unsigned int *ret, struct err *err)
{
	auto_net struct net *net = NULL;
	struct link_object link;
	int r = net_open(NULL, &net, err);

	if (r == 0)
		r = net_link_get(net, name, &link, err);
	if (r == 0)
		*ret = link.mtu;
	return r;
}

int node_underlay_mtu(const struct addr *address, unsigned int *ret, struct err *err)
{
	__attribute__((cleanup(cleanup_ifaddrs))) struct ifaddrs *list = NULL;
	char buf[ADDR_STRLEN];

	if (getifaddrs(&list) < 0)
		return err_errno(err, -errno, "listing addresses");
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (carries(i, address))
			return link_mtu(i->ifa_name, ret, err);
	}
	return err_set(err, -EADDRNOTAVAIL, "no interface carries this node's underlay address %s",
		       addr_format(address, buf));
}

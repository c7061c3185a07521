#include "ipvs.h"

#include <assert.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <string.h>

#include "internal.h"

static uint16_t protocol_number(enum ipvs_protocol protocol)
{
	return protocol == IPVS_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

/* union nf_inet_addr: room for IPv6, an IPv4 address stands at its beginning. */
static void put_addr(struct nl_msg *msg, int attr, const struct addr *addr)
{
	uint8_t bytes[16] = {0};

	memcpy(bytes, addr->bytes, addr_size(addr));
	msg_put(msg, attr, bytes, sizeof(bytes));
}

static void put_place(struct nl_msg *msg, const struct ipvs_place *at)
{
	msg_put_u16(msg, IPVS_SVC_ATTR_AF, at->addr.family);
	msg_put_u16(msg, IPVS_SVC_ATTR_PROTOCOL, protocol_number(at->protocol));
	put_addr(msg, IPVS_SVC_ATTR_ADDR, &at->addr);
	msg_put_u16(msg, IPVS_SVC_ATTR_PORT, htons((uint16_t)at->port));
}

static void put_service_key(struct nl_msg *msg, const struct ipvs_place *at)
{
	struct nlattr *nest = msg_nest(msg, IPVS_CMD_ATTR_SERVICE);

	put_place(msg, at);
	nla_nest_end(msg, nest);
}

static void put_service(struct nl_msg *msg, const struct ipvs_service_object *service)
{
	const struct ip_vs_flags flags = {.flags = service->flags, .mask = ~0U};
	/* Of persistence, which is not used: a mask, or with IPv6 a length. */
	const uint32_t netmask = service->at.addr.family == AF_INET6 ? 128 : ~0U;
	struct nlattr *nest = msg_nest(msg, IPVS_CMD_ATTR_SERVICE);

	put_place(msg, &service->at);
	msg_put_string(msg, IPVS_SVC_ATTR_SCHED_NAME, service->scheduler);
	msg_put(msg, IPVS_SVC_ATTR_FLAGS, &flags, sizeof(flags));
	msg_put_u32(msg, IPVS_SVC_ATTR_TIMEOUT, 0);
	msg_put_u32(msg, IPVS_SVC_ATTR_NETMASK, netmask);
	nla_nest_end(msg, nest);
}

/* The kernel wants the identity alone to delete, and everything else to create or change. */
static void put_destination(struct nl_msg *msg, const struct ipvs_destination_object *destination,
			    bool whole)
{
	struct nlattr *nest = msg_nest(msg, IPVS_CMD_ATTR_DEST);

	msg_put_u16(msg, IPVS_DEST_ATTR_ADDR_FAMILY, destination->addr.family);
	put_addr(msg, IPVS_DEST_ATTR_ADDR, &destination->addr);
	msg_put_u16(msg, IPVS_DEST_ATTR_PORT, htons((uint16_t)destination->port));
	if (whole) {
		msg_put_u32(msg, IPVS_DEST_ATTR_FWD_METHOD, destination->forwarding);
		msg_put_u32(msg, IPVS_DEST_ATTR_WEIGHT, destination->weight);
		msg_put_u32(msg, IPVS_DEST_ATTR_U_THRESH, 0);
		msg_put_u32(msg, IPVS_DEST_ATTR_L_THRESH, 0);
	}
	nla_nest_end(msg, nest);
}

/* --- apply --- */

struct ipvs_commands {
	uint8_t create, update, delete;
};

static int ipvs_talk(struct net *net, uint8_t command, const struct object *object,
		     const struct ipvs_commands *commands, struct err *err)
{
	auto_nl_msg struct nl_msg *msg = NULL;
	struct nl_sock *sk;
	int id;

	sk = net_genl(net, IPVS_GENL_NAME, &id, err);
	if (!sk)
		return err->code;
	msg = msg_genl(id, NLM_F_ACK, command, IPVS_GENL_VERSION);
	if (object->kind == OBJECT_IPVS_DESTINATION) {
		put_service_key(msg, &object->destination.at);
		put_destination(msg, &object->destination, command != commands->delete);
	} else if (command == commands->delete) {
		put_service_key(msg, &object->service.at);
	} else {
		put_service(msg, &object->service);
	}
	return net_talk(sk, msg, err);
}

int ipvs_apply_step(struct net *net, const struct plan_step *step, struct err *err)
{
	static const struct ipvs_commands services = {IPVS_CMD_NEW_SERVICE, IPVS_CMD_SET_SERVICE,
						      IPVS_CMD_DEL_SERVICE};
	static const struct ipvs_commands destinations = {IPVS_CMD_NEW_DEST, IPVS_CMD_SET_DEST,
							  IPVS_CMD_DEL_DEST};
	const struct object *object = &step->object;
	const struct ipvs_commands *commands =
		object->kind == OBJECT_IPVS_SERVICE ? &services : &destinations;
	int r = 0;

	assert(object->kind == OBJECT_IPVS_SERVICE || object->kind == OBJECT_IPVS_DESTINATION);
	switch (step->verdict) {
	case VERDICT_CREATE:
		r = ipvs_talk(net, commands->create, object, commands, err);
		if (r == -EEXIST)
			r = ipvs_talk(net, commands->update, object, commands, err);
		break;
	case VERDICT_UPDATE:
		r = ipvs_talk(net, commands->update, object, commands, err);
		break;
	case VERDICT_DELETE:
		r = ipvs_talk(net, commands->delete, object, commands, err);
		/* ESRCH: no such service; ENOENT: no such destination (ip_vs_ctl.c). */
		if (r == -ESRCH || r == -ENOENT)
			r = 0;
		break;
	case VERDICT_KEEP:
	case VERDICT_FOREIGN:
		break;
	}
	return r;
}

/* --- observe --- */

struct observation {
	const struct net *net;
	struct object_list *ret;
	struct ipvs_place at; /* of the service whose destinations are asked for */
};

static bool is_ours(const struct net *net, const struct addr *addr)
{
	for (size_t i = 0; i < net->n_services; i++) {
		if (prefix_contains(&net->services[i], addr))
			return true;
	}
	return false;
}

/* The nested attribute `attr` of an answer, parsed to tb[0..max]; all NULL where it is not there.
 */
static int nested_parse(struct nlmsghdr *hdr, int attr, struct nlattr *tb[], int max,
			struct err *err)
{
	struct nlattr *top[IPVS_CMD_ATTR_MAX + 1];
	int r = msg_parse(hdr, GENL_HDRLEN, top, IPVS_CMD_ATTR_MAX, err);

	for (int i = 0; i <= max; i++)
		tb[i] = NULL;
	if (r < 0 || !top[attr])
		return r;
	if (nla_parse_nested(tb, max, top[attr], NULL) < 0)
		return err_set(err, -EBADMSG, "malformed IPVS answer");
	return 0;
}

static struct addr addr_attr(struct nlattr *attr, sa_family_t family)
{
	struct addr addr = {.family = family};

	nla_memcpy(addr.bytes, attr, (int)addr_size(&addr));
	return addr;
}

/* False for what has no place of ours: a service by mark, SCTP. */
static bool place_decode(struct nlattr *const tb[], struct ipvs_place *ret)
{
	uint16_t protocol;

	if (!tb[IPVS_SVC_ATTR_AF] || !tb[IPVS_SVC_ATTR_PROTOCOL] || !tb[IPVS_SVC_ATTR_ADDR] ||
	    !tb[IPVS_SVC_ATTR_PORT])
		return false;
	protocol = nla_get_u16(tb[IPVS_SVC_ATTR_PROTOCOL]);
	*ret = (struct ipvs_place){
		.protocol = protocol == IPPROTO_UDP ? IPVS_UDP : IPVS_TCP,
		.addr = addr_attr(tb[IPVS_SVC_ATTR_ADDR], nla_get_u16(tb[IPVS_SVC_ATTR_AF])),
		.port = ntohs(nla_get_u16(tb[IPVS_SVC_ATTR_PORT])),
	};
	return protocol == protocol_number(ret->protocol);
}

static int service_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct observation *observation = data;
	struct nlattr *tb[IPVS_SVC_ATTR_MAX + 1];
	struct ip_vs_flags flags = {0};
	struct ipvs_place at;
	struct object *object;
	int r = nested_parse(hdr, IPVS_CMD_ATTR_SERVICE, tb, IPVS_SVC_ATTR_MAX, err);

	if (r < 0 || !place_decode(tb, &at) || !is_ours(observation->net, &at.addr))
		return r;
	object = object_list_add(observation->ret, OBJECT_IPVS_SERVICE);
	object->ours = true;
	object->service.at = at;
	if (tb[IPVS_SVC_ATTR_SCHED_NAME])
		nla_strlcpy(object->service.scheduler, tb[IPVS_SVC_ATTR_SCHED_NAME],
			    sizeof(object->service.scheduler));
	if (tb[IPVS_SVC_ATTR_FLAGS])
		nla_memcpy(&flags, tb[IPVS_SVC_ATTR_FLAGS], sizeof(flags));
	/* "Hashed" is the kernel's own bookkeeping. */
	object->service.flags = flags.flags & ~(unsigned int)IP_VS_SVC_F_HASHED;
	return 0;
}

static int destination_answer(struct nlmsghdr *hdr, void *data, struct err *err)
{
	struct observation *observation = data;
	const struct ipvs_place *at = &observation->at;
	struct nlattr *tb[IPVS_DEST_ATTR_MAX + 1];
	struct object *object;
	int r = nested_parse(hdr, IPVS_CMD_ATTR_DEST, tb, IPVS_DEST_ATTR_MAX, err);

	if (r < 0 || !tb[IPVS_DEST_ATTR_ADDR] || !tb[IPVS_DEST_ATTR_PORT])
		return r;
	object = object_list_add(observation->ret, OBJECT_IPVS_DESTINATION);
	object->ours = true;
	object->destination.at = *at;
	/* Kernels before 3.18 do not tell the family: it is the service's. */
	object->destination.addr = addr_attr(tb[IPVS_DEST_ATTR_ADDR],
					     tb[IPVS_DEST_ATTR_ADDR_FAMILY]
						     ? nla_get_u16(tb[IPVS_DEST_ATTR_ADDR_FAMILY])
						     : at->addr.family);
	object->destination.port = ntohs(nla_get_u16(tb[IPVS_DEST_ATTR_PORT]));
	if (tb[IPVS_DEST_ATTR_WEIGHT])
		object->destination.weight = nla_get_u32(tb[IPVS_DEST_ATTR_WEIGHT]);
	if (tb[IPVS_DEST_ATTR_FWD_METHOD])
		object->destination.forwarding =
			nla_get_u32(tb[IPVS_DEST_ATTR_FWD_METHOD]) & IP_VS_CONN_F_FWD_MASK;
	return 0;
}

static int observe_services(struct nl_sock *sk, int id, struct observation *observation,
			    struct err *err)
{
	auto_nl_msg struct nl_msg *msg =
		msg_genl(id, NLM_F_DUMP, IPVS_CMD_GET_SERVICE, IPVS_GENL_VERSION);

	return net_query(sk, msg, service_answer, observation, err);
}

static int observe_destinations(struct nl_sock *sk, int id, struct observation *observation,
				struct err *err)
{
	auto_nl_msg struct nl_msg *msg =
		msg_genl(id, NLM_F_DUMP, IPVS_CMD_GET_DEST, IPVS_GENL_VERSION);

	put_service_key(msg, &observation->at);
	return net_query(sk, msg, destination_answer, observation, err);
}

int ipvs_observe(struct net *net, struct object_list *ret, struct err *err)
{
	struct observation observation = {.net = net, .ret = ret};
	size_t first = ret->n, end;
	struct nl_sock *sk;
	int id, r;

	if (!net->n_services)
		return 0;
	sk = net_genl(net, IPVS_GENL_NAME, &id, err);
	if (!sk)
		return err->code;
	r = observe_services(sk, id, &observation, err);
	end = ret->n;
	for (size_t i = first; r >= 0 && i < end; i++) {
		observation.at = ret->items[i].service.at;
		r = observe_destinations(sk, id, &observation, err);
	}
	return r < 0 ? err_wrap(err, "ipvs") : 0;
}

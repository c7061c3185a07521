/* The configuration files of keepalived (2.2) and conntrackd (1.4.7), as text.
 *
 * What is set differs from the daemons' defaults for a reason, told beside it in the output's
 * generator and not in the output: the files are for the daemons.
 */
#include "ha.h"

#include <assert.h>
#include <errno.h>

/* conntrackd of pair N: group 225.0.0.N, port 3780 + N. No member needs to know the other's
 * address. */
#define SYNC_GROUP_PORT 3780

int ha_vrid(const struct addr *addr, uint8_t *ret, struct err *err)
{
	char text[ADDR_STRLEN];
	size_t n = addr_size(addr);

	assert(n);
	if (!addr->bytes[n - 1])
		return err_set(err, -ERANGE, "%s: the last byte is the VRRP id and must not be 0",
			       addr_format(addr, text));
	*ret = addr->bytes[n - 1];
	return 0;
}

const char *ha_state_name(enum ha_state state)
{
	switch (state) {
	case HA_INIT:
		return "init";
	case HA_BACKUP:
		return "backup";
	case HA_MASTER:
		return "master";
	case HA_FAULT:
		return "fault";
	case HA_CONTESTED:
		return "contested";
	}
	return "";
}

/* Gratuitous ARP: the holders share the MAC address, so it has to teach bridges, not neighbours.
 * Three spaced by 20 ms, three more after a second, then one every ten seconds against what was
 * lost.
 *
 * Five missing advertisements instead of three make a peer dead: on a node that is short of CPU
 * time three of them are late now and then, and an election that is won by mistake takes a holding
 * from a peer that lives.
 *
 * Priorities: conntrackd runs in real time by its own default (99) and would starve the election on
 * a loaded node. The CPU limit between two sleeps (default 10 ms) is a kill signal; on a slow
 * machine it would end a healthy daemon. */
static void keepalived_globals(const struct ha_config *config, const char *fifo, struct strbuf *b)
{
	strbuf_add(b,
		   "global_defs {\n"
		   "\trouter_id %s\n"
		   "\tscript_user root\n"
		   "\tenable_script_security\n"
		   "\tvrrp_version 3\n"
		   "\tvrrp_notify_fifo %s\n"
		   "\tvrrp_down_timer_adverts 5\n"
		   "\tvrrp_garp_master_repeat 3\n"
		   "\tvrrp_garp_master_delay 1\n"
		   "\tvrrp_garp_interval 0.02\n"
		   "\tvrrp_garp_master_refresh 10\n"
		   "\tvrrp_garp_lower_prio_repeat 3\n"
		   "\tvrrp_garp_lower_prio_delay 1\n"
		   "\tvrrp_higher_prio_send_advert true\n"
		   "\tmax_auto_priority -1\n"
		   "\tvrrp_rt_priority 20\n"
		   "\tvrrp_rlimit_rttime 1000000\n"
		   "}\n",
		   config->router_id, fifo);
}

/* no_track: the holding's device is the gate and down until the agent has opened it. */
static void keepalived_instance(const struct ha_config *config, const struct ha_holding *holding,
				struct strbuf *b)
{
	char addr[ADDR_STRLEN], sync[ADDR_STRLEN];

	strbuf_add(b,
		   "vrrp_instance %s {\n"
		   "\tstate BACKUP\n"
		   "\tinterface %s\n"
		   "\tmcast_src_ip %s\n"
		   "\tvirtual_router_id %u\n"
		   "\tpriority %u\n"
		   "\tadvert_int %u.%02u\n",
		   holding->name, config->sync_interface, addr_format(&config->sync_addr, sync),
		   holding->vrid, holding->priority, config->advert_ms / 1000,
		   config->advert_ms % 1000 / 10);
	if (config->preempt_delay_s)
		strbuf_add(b, "\tpreempt_delay %u\n", config->preempt_delay_s);
	else
		strbuf_add(b, "\tnopreempt\n");
	strbuf_add(b, "\tvirtual_ipaddress {\n\t\t%s/%u dev %s no_track\n\t}\n",
		   addr_format(&holding->addr, addr), addr_bits(&holding->addr), holding->dev);
	if (config->track[0])
		strbuf_add(b, "\ttrack_interface {\n\t\t%s\n\t}\n", config->track);
	strbuf_add(b, "}\n");
}

void ha_keepalived_conf(const struct ha_config *config, const char *fifo, struct strbuf *b)
{
	keepalived_globals(config, fifo, b);
	for (size_t i = 0; i < config->n_holdings; i++)
		keepalived_instance(config, &config->holdings[i], b);
}

/* States go straight into the kernel as they arrive (no external cache): a takeover needs no
 * commit. A member that starts asks the other for everything it has (StartupResync, measured
 * with 1.4.7). */
static void conntrackd_sync(const struct ha_config *config, struct strbuf *b)
{
	char sync[ADDR_STRLEN];

	strbuf_add(b,
		   "Sync {\n"
		   "\tMode FTFW {\n"
		   "\t\tDisableExternalCache on\n"
		   "\t\tStartupResync on\n"
		   "\t}\n"
		   "\tMulticast {\n"
		   "\t\tIPv4_address 225.0.0.%u\n"
		   "\t\tGroup %u\n"
		   "\t\tIPv4_interface %s\n"
		   "\t\tInterface %s\n"
		   "\t\tSndSocketBuffer 1249280\n"
		   "\t\tRcvSocketBuffer 1249280\n"
		   "\t\tChecksum on\n"
		   "\t}\n"
		   "}\n",
		   config->group, SYNC_GROUP_PORT + config->group,
		   addr_format(&config->sync_addr, sync), config->sync_interface);
}

/* Every protocol is replicated, ICMP for the sake of a running ping's translated id. A list of them
 * would be looked up in /etc/protocols, which an image may lack.
 *
 * A handshake is not: its client sends the SYN again, and whoever holds the address then begins the
 * flow. That spares two of three messages for a new connection, and the filter is the kernel's. States
 * that come later are all replicated, lest an entry that expires in one of them stays on the peer. */
static void conntrackd_filter(const struct ha_config *config, struct strbuf *b)
{
	char text[ADDR_STRLEN];

	strbuf_add(b,
		   "\tFilter From Kernelspace {\n"
		   "\t\tAddress Ignore {\n"
		   "\t\t\tIPv4_address 127.0.0.1\n"
		   "\t\t\tIPv4_address 225.0.0.%u\n"
		   "\t\t\tIPv4_address %s\n",
		   config->group, addr_format(&config->sync_addr, text));
	for (size_t i = 0; i < config->n_ignore; i++)
		strbuf_add(b, "\t\t\t%s %s\n",
			   config->ignore[i].family == AF_INET ? "IPv4_address" : "IPv6_address",
			   addr_format(&config->ignore[i], text));
	strbuf_add(b, "\t\t}\n"
		      "\t\tState Ignore {\n"
		      "\t\t\tSYN_SENT SYN_RECV for TCP\n"
		      "\t\t}\n\t}\n");
}

void ha_conntrackd_conf(const struct ha_config *config, const char *dir, struct strbuf *b)
{
	conntrackd_sync(config, b);
	strbuf_add(b,
		   "General {\n"
		   "\tSystemd off\n"
		   "\tHashSize 32768\n"
		   "\tHashLimit 524288\n"
		   "\tLogFile off\n"
		   "\tSyslog off\n"
		   "\tLockFile %s/conntrackd.lock\n"
		   "\tUNIX {\n"
		   "\t\tPath %s/conntrackd.ctl\n"
		   "\t}\n"
		   "\tNetlinkBufferSize 2097152\n"
		   "\tNetlinkBufferSizeMaxGrowth 8388608\n"
		   "\tScheduler {\n"
		   "\t\tType RR\n"
		   "\t\tPriority 10\n"
		   "\t}\n",
		   dir, dir);
	conntrackd_filter(config, b);
	strbuf_add(b, "}\n");
}

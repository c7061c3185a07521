#include "probe_packet.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

/* The internet checksum (RFC 1071) over whole 16-bit words. */
static uint16_t checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	if (size % 2)
		sum += (uint32_t)data[size - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

void probe_request(uint16_t id, uint16_t seq, uint8_t ret[static PROBE_REQUEST_SIZE])
{
	memset(ret, 0, PROBE_REQUEST_SIZE);
	ret[0] = ICMP_ECHO;
	put16(ret + 4, id);
	put16(ret + 6, seq);
	put16(ret + 2, checksum(ret, PROBE_REQUEST_SIZE));
}

bool probe_answer_parse(const uint8_t *packet, size_t size, struct probe_answer *ret)
{
	size_t header = size ? 4U * (packet[0] & 0xf) : 0;
	const uint8_t *icmp = packet + header;

	if (header < sizeof(struct iphdr) || packet[0] >> 4 != IPVERSION ||
	    size < header + ICMP_MINLEN)
		return false;
	if (packet[9] != IPPROTO_ICMP || icmp[0] != ICMP_ECHOREPLY || icmp[1] != 0 ||
	    checksum(icmp, size - header) != 0)
		return false;
	*ret = (struct probe_answer){
		.from.family = AF_INET, .id = get16(icmp + 4), .seq = get16(icmp + 6)};
	memcpy(ret->from.bytes, packet + 12, 4);
	return true;
}

#pragma once
/* ICMP echo requests and answers (RFC 792). Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

#define PROBE_REQUEST_SIZE 16 /* bytes: header and eight of payload */

struct probe_answer {
	struct addr from;
	uint16_t id, seq;
};

void probe_request(uint16_t id, uint16_t seq, uint8_t ret[static PROBE_REQUEST_SIZE]);

/* Takes an IPv4 packet as a raw socket gives it. False where it is not a whole echo answer. */
bool probe_answer_parse(const uint8_t *packet, size_t size, struct probe_answer *ret);

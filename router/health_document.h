#pragma once
/* What the holder of an exit says of it, e.g.
 *
 *	{"exit":"nl","state":"up","since":12,"publicAddress":null,"weight":1}
 */

#include <stddef.h>

#include "err.h"
#include "exit_state.h"

#define HEALTH_DOCUMENT_MAX 16384 /* bytes */
#define HEALTH_DEPTH_MAX    8	  /* of brackets */
#define HEALTH_WEIGHT_MAX   1000
#define EXIT_NAME_MAX	    16

struct health_document {
	char name[EXIT_NAME_MAX]; /* a label */
	enum exit_answer answer;  /* never ANSWER_NONE */
	unsigned int weight;	  /* 0: no new flows; default 1 */
};

/* Parses `n` bytes from the network. Keys that are unknown are passed over: a newer gateway may say
 * more. Pure; -EINVAL, -EFBIG. */
int health_document_parse(const char *bytes, size_t n, struct health_document *ret,
			  struct err *err);

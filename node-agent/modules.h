#pragma once
/* Kernel modules that the roles of this node's pods need. Pods cannot load them, and sysctls such
 * as net.ipv4.vs.* exist only once they are there. */

#include "strbuf.h"

/* Asks modprobe for each. Appends to `missing` the names of those that it could not load, separated
 * by spaces; that is not a failure: they may be part of the kernel on a host without a list of
 * modules. */
void node_modules_load(struct strbuf *missing);

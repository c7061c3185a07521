#pragma once
/* WireGuard devices to and from generic netlink messages (linux/wireguard.h). Pure: the unit test
 * plays the kernel with them. */

#include <netlink/msg.h>
#include <stdbool.h>

#include "wireguard.h"

/* How far a device has been written: the next peer, and the next of its allowed addresses. */
struct wg_cursor {
	size_t peer, allowed_ip;
};

/* Appends to a WG_CMD_SET_DEVICE message what of `dev` lies behind `at` and has room in it, and
 * moves `at`. The first message of a device (a zeroed cursor) replaces all its peers, a peer's
 * first mention all its allowed addresses; later ones add. Returns true while something is left for
 * a further message. */
bool wg_message_fill(struct nl_msg *msg, const struct wg_device *dev, struct wg_cursor *at);

/* Merges one answer to WG_CMD_GET_DEVICE into `ret`: a device with many peers, and a peer with many
 * allowed addresses, come in several. -EBADMSG. */
int wg_message_merge(struct nlmsghdr *hdr, struct wg_device *ret, struct err *err);

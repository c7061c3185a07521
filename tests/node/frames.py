"""Frames made by hand, and sockets that send and capture them in another network namespace."""
import ctypes
import os
import select
import socket
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86dd

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1

libc = ctypes.CDLL(None, use_errno=True)


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def mac_of(address):
    """The MAC that belongs to an IPv4 address."""
    return "02:bb:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def ether(dst, src, kind, payload):
    return mac_bytes(dst) + mac_bytes(src) + struct.pack(">H", kind) + payload


def tagged(frame, *tags):
    """With VLAN tags (protocol, id), the outer one first."""
    return frame[:12] + b"".join(struct.pack(">HH", *tag) for tag in tags) + frame[12:]


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(src, dst, payload, protocol=17, fragment=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp(src, dst, sport=4000, dport=4001, payload=b""):
    return ipv4(src, dst, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload)


def arp(operation, sender_mac, sender, target_mac, target, head=(1, IPV4, 6, 4)):
    return (struct.pack(">HHBBH", *head, operation) + mac_bytes(sender_mac)
            + socket.inet_aton(sender) + mac_bytes(target_mac) + socket.inet_aton(target))


def ipv6(dst, payload=b"", protocol=59):
    return (struct.pack(">IHBB", 6 << 28, len(payload), protocol, 255)
            + socket.inet_pton(socket.AF_INET6, "fe80::1")
            + socket.inet_pton(socket.AF_INET6, dst) + payload)


class Wire:
    """A raw socket on one interface of the network namespace at `path`. It sees what arrives there, for
    whomever, and remembers it."""

    def __init__(self, path, ifname):
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        other = os.open(path, os.O_RDONLY)
        try:
            self.enter(other)
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((ifname, ETH_P_ALL))
            index = socket.if_nametoindex(ifname)
        finally:
            self.enter(own)
            os.close(own)
            os.close(other)
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                               struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b""))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    @staticmethod
    def enter(namespace):
        if libc.setns(namespace, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")

    def send(self, frame):
        self.socket.send(frame)

    def taken(self):
        """The frames that have arrived since the last call. A VLAN tag, which the kernel keeps beside
        the frame, is left out."""
        frames = []
        while select.select([self.socket], [], [], 0)[0]:
            frame, address = self.socket.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                frames.append(frame)
        return frames

    def close(self):
        self.socket.close()

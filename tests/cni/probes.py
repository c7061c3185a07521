"""Run inside a pod: tries to get a packet out of eth0 in every way a process has, each to a port of its
own (FIRST_PORT and on, in the order of PROBES), then one packet to the intranet, which says that all
others have been sent. What the kernel refuses is refused.

Run with --tap IFNAME on the other end: prints what arrives, a JSON list for each line of its input."""
import json
import select
import socket
import struct
import sys

FIRST_PORT = 2000
MARKER = ("10.244.0.1", 9)
V4, V6, ON_LINK = "203.0.113.1", "2001:db8::1", "198.51.100.7"
ETH0, ETH0_V6 = "10.244.0.5", "fd00::5"
SO_BINDTODEVICE, IP_UNICAST_IF, IPV6_UNICAST_IF = 25, 50, 76


def udp(family):
    return socket.socket(family, socket.SOCK_DGRAM)


def tcp(family):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def to_device(made):
    made.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
    return made


def from_address(made, address):
    made.bind((address, 0))
    return made


def unicast_if(made):
    index = struct.pack("!I", socket.if_nametoindex("eth0"))
    if made.family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, index)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_IF, index)
    return made


def send(made, address, port):
    if made.type == socket.SOCK_STREAM:
        try:
            made.connect((address, port))
        except BlockingIOError:
            pass
    else:
        made.sendto(b"leak", (address, port))


def send_pktinfo(address, port):
    index = socket.if_nametoindex("eth0")
    if ":" in address:
        control = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, bytes(16) + struct.pack("I", index))
        udp(socket.AF_INET6).sendmsg([b"leak"], [control], 0, (address, port))
    else:
        control = (socket.IPPROTO_IP, 8, struct.pack("I", index) + bytes(8))
        udp(socket.AF_INET).sendmsg([b"leak"], [control], 0, (address, port))


def send_raw(address, port, device):
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    if device:
        to_device(made)
    datagram = struct.pack("!HHHH", 9, port, 8, 0)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton(ETH0),
                         socket.inet_aton(address))
    made.sendto(header + datagram, (address, 0))


def send_dont_route(address, port):
    made = udp(socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    made.sendto(b"leak", (address, port))


PROBES = [
    ("udp", lambda p: send(udp(socket.AF_INET), V4, p)),
    ("tcp", lambda p: send(tcp(socket.AF_INET), V4, p)),
    ("udp, device", lambda p: send(to_device(udp(socket.AF_INET)), V4, p)),
    ("tcp, device", lambda p: send(to_device(tcp(socket.AF_INET)), V4, p)),
    ("udp, address", lambda p: send(from_address(udp(socket.AF_INET), ETH0), V4, p)),
    ("tcp, address", lambda p: send(from_address(tcp(socket.AF_INET), ETH0), V4, p)),
    ("udp, unicast if", lambda p: send(unicast_if(udp(socket.AF_INET)), V4, p)),
    ("udp, packet info", lambda p: send_pktinfo(V4, p)),
    ("raw", lambda p: send_raw(V4, p, False)),
    ("raw, device", lambda p: send_raw(V4, p, True)),
    ("dont route", lambda p: send_dont_route(ON_LINK, p)),
    ("udp6", lambda p: send(udp(socket.AF_INET6), V6, p)),
    ("tcp6", lambda p: send(tcp(socket.AF_INET6), V6, p)),
    ("udp6, device", lambda p: send(to_device(udp(socket.AF_INET6)), V6, p)),
    ("tcp6, device", lambda p: send(to_device(tcp(socket.AF_INET6)), V6, p)),
    ("udp6, address", lambda p: send(from_address(udp(socket.AF_INET6), ETH0_V6), V6, p)),
    ("udp6, unicast if", lambda p: send(unicast_if(udp(socket.AF_INET6)), V6, p)),
    ("udp6, packet info", lambda p: send_pktinfo(V6, p)),
]


def probe():
    for i, (_, attempt) in enumerate(PROBES):
        try:
            attempt(FIRST_PORT + i)
        except OSError:
            pass
    udp(socket.AF_INET).sendto(b"done", MARKER)


# --- the other end ---

def decode(frame):
    """(kind, destination, port) of an Ethernet frame, or None."""
    kind = struct.unpack("!H", frame[12:14])[0]
    packet = frame[14:]
    if kind == 0x0800:
        skip = (packet[0] & 15) * 4
        return ("ip", socket.inet_ntoa(packet[16:20]),
                struct.unpack("!H", packet[skip + 2:skip + 4])[0])
    if kind == 0x86dd:
        return ("ip", socket.inet_ntop(socket.AF_INET6, packet[24:40]),
                struct.unpack("!H", packet[42:44])[0])
    if kind == 0x0806:
        return ("arp", socket.inet_ntoa(packet[24:28]), 0)
    return None


def tap(ifname):
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    capture.bind((ifname, 0))
    seen = []
    print("ready", flush=True)
    while True:
        ready = select.select([capture, sys.stdin], [], [])[0]
        if capture in ready:
            frame, address = capture.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                seen.append(decode(frame))
        elif not sys.stdin.readline():
            return
        else:
            print(json.dumps(seen), flush=True)
            seen = []


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tap"]:
        tap(sys.argv[2])
    else:
        probe()

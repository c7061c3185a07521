"""One description of the installation; everything else is generated from it."""
import dataclasses
import ipaddress


@dataclasses.dataclass(frozen=True)
class NodePlan:
    """A node: its address on the underlay and the pod network of its primary CNI."""
    name: str
    address: str
    pods: str      # IPv4 prefix of its pods, the node itself is the first address
    pods6: str     # the same in IPv6: a second way in which a pod could leak
    leases: dict   # network → role → addresses its byway-node may hand out

    def pod_address(self, index, version=4):
        """Address number `index` (1 is the node's own) of the pod network, with prefix length."""
        net = ipaddress.ip_network(self.pods if version == 4 else self.pods6)
        return f"{net[index]}/{net.prefixlen}"


@dataclasses.dataclass(frozen=True)
class PodPlan:
    """A pod: `role` is client, router, gateway, or "" for one that knows nothing of Byway."""
    name: str
    node: str
    role: str
    index: int     # number of its address on its node's pod network
    member: int = 0  # of a gateway pair


@dataclasses.dataclass(frozen=True)
class ExitPlan:
    """An exit and the VPN provider behind it; `number` is the provider's."""
    name: str
    address: str
    number: int
    prefer: int    # the gateway member that should hold it

    @property
    def public(self):
        """The address the internet sees its flows come from."""
        return f"198.51.100.{100 + self.number}"

    @property
    def endpoint(self):
        """Where the provider's WireGuard listens."""
        return f"203.0.113.{100 + self.number}"

    @property
    def tunnel(self):
        """The exit's own address in the provider's tunnel network; the provider has .1."""
        return f"10.64.{self.number}.2"


SUBNET = "192.168.50.0/24"
SYNC = "192.168.51.0/24"
IDENTITIES = "192.168.52.0/24"
CLIENTS = "192.168.50.1-192.168.50.239"
EXITS = "192.168.50.248-192.168.50.254"
VIP = "192.168.50.240"
MTU = 1400
INTRANET = ["10.0.0.0/8"]

SERVER = "198.51.100.10"        # the internet's one server
SERVICE = "10.10.0.5"           # a service of the intranet
SERVICE_UNDERLAY = "172.20.0.50"
UNDERLAY = 12                   # prefix length; the isp is 172.20.0.1
ISP_UNDERLAY = "172.20.0.1"
ISP_PUBLIC = "203.0.113.200"    # what a leak would be seen as
WIREGUARD_PORT = 51820

NODES = [
    NodePlan("node-a", "172.20.0.11", "10.244.1.0/24", "fd00:10:244:1::/64", {
        "vpn": {"client": "192.168.50.1-192.168.50.119", "router": "192.168.50.241"},
        "sync": {"sync": "192.168.51.1-192.168.51.99"}}),
    NodePlan("node-b", "172.20.0.12", "10.244.2.0/24", "fd00:10:244:2::/64", {
        "vpn": {"client": "192.168.50.120-192.168.50.239", "router": "192.168.50.242"},
        "sync": {"sync": "192.168.51.101-192.168.51.199"}}),
]

PODS = [
    PodPlan("r1", "node-a", "router", 11),
    PodPlan("r2", "node-b", "router", 11),
    PodPlan("g1", "node-a", "gateway", 12, member=1),
    PodPlan("g2", "node-b", "gateway", 12, member=2),
    PodPlan("c1", "node-a", "client", 13),
    PodPlan("c2", "node-b", "client", 13),
    # Pods without Byway: the way out that a client must not have, for the captures' own proof.
    PodPlan("plain-a", "node-a", "", 14),
    PodPlan("plain-b", "node-b", "", 14),
]

EXIT_LIST = [
    ExitPlan("nl", "192.168.50.248", 1, prefer=1),
    ExitPlan("se", "192.168.50.249", 2, prefer=2),
    ExitPlan("ch", "192.168.50.250", 3, prefer=1),
]

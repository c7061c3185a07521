"""A node: a machine on the underlay with a primary CNI stand-in and the node agent."""
import contextlib
import json
import os
import signal
import subprocess

from . import agent, configs, plan
from .internet import forward, plug
from .namespaces import (CLONE_NEWNET, CLONE_NEWNS, MS_BIND, MS_SHARED, Namespace, enter,
                         link_switch, mount, set_link, set_sysctl, wait_all)

# Where pods may go without leaving the node's own world: what the node does not masquerade.
PRIVATE = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"


def _share_namespaces():
    """A shared mount from the start, as `ip netns` makes it: made later it would hide pods."""
    os.makedirs("/run/netns")
    mount("/run/netns", "/run/netns", flags=MS_BIND)
    mount("none", "/run/netns", flags=MS_SHARED)


class Node(Namespace):
    """One node, by its plan."""

    FLAGS = CLONE_NEWNET | CLONE_NEWNS
    DIRECTORIES = ("/run", "/etc/byway")

    def __init__(self, node_plan):
        super().__init__(node_plan.name)
        self.plan = node_plan
        self.agent = agent.Agent(self, "byway-node", "node")

    def cables(self):
        """On the underlay."""
        return plug(self, "eth0", "underlay")

    def describe(self):
        """Collects its configuration: underlay, the bridge of its pods, the way out for them."""
        gateway, gateway6 = self.plan.pod_address(1), self.plan.pod_address(1, 6)
        self.ip(f"address add {self.plan.address}/{plan.UNDERLAY} dev eth0", "link set eth0 up",
                f"route add default via {plan.ISP_UNDERLAY}",
                f"route add {plan.SERVICE}/32 via {plan.SERVICE_UNDERLAY}",
                # With a MAC of its own: one taken from the ports changes as pods come and go.
                f"link add name cni0 address {self.bridge_mac()} type bridge mcast_snooping 0",
                "link set cni0 up",
                f"address add {gateway} dev cni0", f"address add {gateway6} dev cni0 nodad",
                # IPv6 ends in nothing, but a packet that takes this way is seen by the captures.
                "route add 2000::/3 dev eth0",
                *(f"route add {other.pods} via {other.address}" for other in plan.NODES
                  if other is not self.plan))
        self.nft("table ip node { chain out { type nat hook postrouting priority srcnat;\n"
                 f"oifname eth0 ip saddr {self.plan.pods} ip daddr != {{ {PRIVATE} }} masquerade\n"
                 "}\n}")
        self.write("/etc/byway/node.json", configs.node(self.name))
        self.then(forward)
        self.then(lambda: set_sysctl("net.ipv6.conf.all.forwarding", 1))
        self.then(_share_namespaces)

    def bridge_mac(self):
        """MAC of the bridge of its pods."""
        return "0a:58:0a:f4:00:" + self.plan.address.rpartition(".")[2].zfill(2)

    # --- the node agent ------------------------------------------------------------------------------

    def ready(self):
        """Whether pods can be wired: namespace and lease tables are there."""
        return all(self.path(f"/run/{wanted}").exists() for wanted in
                   ("netns/byway", "byway/leases/vpn", "byway/leases/sync"))

    def restart_agent(self):
        """Ends the node agent as a restart would, and starts it again."""
        self.agent.restart()

    # --- the container runtime's part ------------------------------------------------------------------

    def publish(self, pods):
        """Shows pods' network namespaces under /run/netns, as runtimes do; wait_all() waits for it."""
        def bind():
            for pod in pods:
                name = f"/run/netns/{pod.name}"
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
                mount(f"/proc/{pod.pid}/ns/net", name, flags=MS_BIND)
        return self.inside(bind)

    def forget(self, pod):
        """Ends what publish() and the primary CNI made for a pod."""
        name = f"/run/netns/{pod.name}"
        self.run("umount", "-l", name)
        self.path(name).unlink()
        self.run("ip", "link", "del", pod.cable, check=False)

    def cni(self, command, pod, interface, config):
        """Executes the CNI binary the way a runtime does and returns its result document."""
        environment = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": pod.container, "CNI_IFNAME": interface,
            "CNI_NETNS": f"/run/netns/{pod.name}", "CNI_PATH": "/opt/cni/bin",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod.name};"
                        f"K8S_POD_UID={pod.uid}",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        done = subprocess.run(self.command("/byway/build/byway"), input=json.dumps(config), text=True,
                              capture_output=True, env=environment, timeout=60)
        if done.returncode:
            raise RuntimeError(f"CNI {command} {pod.name}/{interface} on {self.name}: exit status "
                               f"{done.returncode}: {done.stdout.strip()} {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def ports(self, pod):
        """Names of a pod's ports in the node agent's namespace, known by their alias."""
        links = json.loads(self.run("ip", "-j", "link", net=self.path("/run/netns/byway")))
        return [link["ifname"] for link in links
                if link.get("ifalias", "").startswith(f"byway {pod.container}/")]

    def set_links(self, pod, up, kill=()):
        """Takes every cable of a pod up or down, on the node's side, and kills processes with it: at once,
        all that is slow has been done before. Programs would do one thing long after the other, and a
        kernel whose keepalived is dead goes on forwarding, a keepalived that sees a link go says goodbye."""
        ports = self.ports(pod)

        def switch():
            with link_switch() as primary:
                enter("/run/netns/byway", CLONE_NEWNET)
                with link_switch() as byway:
                    for pid in kill:
                        with contextlib.suppress(ProcessLookupError):   # ended by itself meanwhile
                            os.kill(pid, signal.SIGKILL)
                    for port in ports:
                        set_link(byway, port, up)
                set_link(primary, pod.cable, up)
        wait_all([self.inside(switch)])

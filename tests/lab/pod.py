"""A pod: namespaces wired by the primary CNI stand-in and then by the real CNI binary."""
import os
import signal

from . import agent, configs, plan
from .namespaces import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, Namespace

AGENTS = {"router": "byway-router", "gateway": "byway-gateway"}


class Pod(Namespace):
    """One pod, by its plan, on its Node. Its first process only holds it, as a pause container
    does; the agent is another process, and can be killed without it."""

    FLAGS = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID
    DIRECTORIES = ("/run", "/etc/byway")

    def __init__(self, pod_plan, node):
        super().__init__(pod_plan.name)
        self.plan, self.node, self.role = pod_plan, node, pod_plan.role
        self.renew()
        self.cable = f"veth-{self.name}"      # its eth0 on the node's side
        self.addresses = {}                   # interface → address that the CNI binary gave
        self.agent = agent.Agent(self, AGENTS[self.role], self.role) if self.role in AGENTS else None

    def renew(self):
        """The identity of a pod that is created now, by the API and by the runtime."""
        self.uid, self.container = os.urandom(16).hex(), os.urandom(32).hex()

    # --- primary network ---------------------------------------------------------------------------

    def primary(self):
        """Collects what the primary CNI does: eth0 with a default route, in both families."""
        node, index = self.node.plan, self.plan.index
        self.node.ip(f"link add name {self.cable} mtu 1500 type veth peer name eth0 netns {self.pid}",
                     f"link set {self.cable} master cni0 up")
        self.ip("link set lo up", f"address add {node.pod_address(index)} dev eth0",
                f"address add {node.pod_address(index, 6)} dev eth0 nodad", "link set eth0 up",
                f"route add default via {node.pod_address(1).split('/')[0]}",
                f"route add ::/0 via {node.pod_address(1, 6).split('/')[0]}")

    @property
    def address(self):
        """Its address on the primary network."""
        return self.node.plan.pod_address(self.plan.index).split("/")[0]

    # --- Byway -----------------------------------------------------------------------------------------

    def attachments(self):
        """Interfaces Byway gives a pod of this role: (interface, CNI configuration)."""
        if not self.role:
            return []
        own = [("net1", configs.cni("vpn", self.role))]
        return own + [("sync", configs.cni("sync", "sync"))] if self.agent else own

    def add(self):
        """CNI ADD for every interface."""
        for interface, config in self.attachments():
            result = self.node.cni("ADD", self, interface, config)
            self.addresses[interface] = next((ip["address"] for ip in result.get("ips", [])), None)

    def delete(self):
        """CNI DEL for every interface, in reverse."""
        for interface, config in reversed(self.attachments()):
            self.node.cni("DEL", self, interface, config)

    def write_configuration(self, providers):
        """Writes what the pod's agent reads; the exits' keys come from their providers."""
        if self.role == "router":
            self.write("/etc/byway/router.json", configs.router())
        if self.role == "gateway":
            self.write("/etc/byway/gateway.json", configs.gateway(self.plan.member))
            for provider in providers:
                self.write(f"/etc/byway/exits/{provider.exit.name}.conf",
                           configs.wg_quick(provider.exit, provider.client_private,
                                            provider.server_public), mode=0o600)

    def status(self):
        """Its agent's status document."""
        return self.agent.status()

    # --- dying and coming back -----------------------------------------------------------------------

    def kill(self):
        """SIGKILL to everything that runs in the pod; its namespaces stay as they are."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def cut(self):
        """Takes its links down, on the node's side."""
        self.node.set_links(self, False)

    def mend(self):
        """Takes its links up again."""
        self.node.set_links(self, True)

    def die(self):
        """What losing a pod is: everything killed and every link cut, in the same moment."""
        self.node.set_links(self, False, kill=self.processes())

"""The plugin beside a real node agent, whose restart must leave its ports and leases alone."""
import json
import signal
import subprocess
import time

import pytest

from node import BUILD, Namespace, Node


class AgentNode(Node):
    """A node whose bridges and tables the node agent makes, over an underlay of its own."""

    def __init__(self, prefix, directory):  # pylint: disable=super-init-not-called
        self.prefix, self.leases, self.namespaces = prefix, directory / "leases", []
        self.under = self.namespace("under")
        self.under("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer")
        for link in ("lo", "eth0", "peer"):
            self.under("ip", "link", "set", link, "up")
        self.under("ip", "addr", "add", "172.20.0.11/24", "dev", "eth0")
        self.agent = Namespace.__new__(Namespace)
        self.agent.name, self.agent.path = f"{prefix}-agent", f"/run/netns/{prefix}-agent"
        self.namespaces.append(self.agent)
        self.config = directory / "node.json"
        self.config.write_text(json.dumps({
            "node": "a", "nodes": [{"name": "a", "address": "172.20.0.11"}],
            "netns": self.agent.path, "leaseDir": str(self.leases),
            "socket": str(directory / "node.sock"),
            "metrics": {"address": "127.0.0.1", "port": 9000},
            "networks": [{"name": "vpn", "vni": 7950, "subnet": "192.168.50.0/24",
                          "vip": "192.168.50.240",
                          "leases": [{"role": "client",
                                      "range": "192.168.50.1-192.168.50.100"}]}]}))
        self.start_agent()

    def start_agent(self):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["nsenter", f"--net={self.under.path}", BUILD / "byway-node", "--config", self.config],
            stderr=subprocess.PIPE)
        for _ in range(100):
            if self.cni("STATUS", None, "")[0] == 0:
                return
            time.sleep(0.1)
        raise AssertionError(self.cni("STATUS", None, "")[1])

    def stop_agent(self, sig):
        self.process.send_signal(sig)
        self.process.communicate(timeout=20)

    def close(self):
        self.stop_agent(signal.SIGKILL)
        super().close()


@pytest.fixture
def agent_node(request, tmp_path):
    made = AgentNode(f"cniagent{request.node.name[-4:].strip('[]')}", tmp_path)
    yield made
    made.close()


def attached(node):
    return {alias: (port["ifindex"], port["master"], port["operstate"])
            for alias, port in node.ports().items()}


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_restart_of_the_agent_keeps_ports_and_leases(agent_node, sig):
    pod = agent_node.pod("a")
    result = agent_node.add(pod, "c1")
    assert result["ips"][0]["address"] == "192.168.50.1/24"
    assert pod.links()["net1"]["mtu"] == 1450
    before = (attached(agent_node), agent_node.held("vpn"), pod.routes())
    agent_node.stop_agent(sig)
    # Without the agent pods come and go all the same.
    other = agent_node.pod("b")
    agent_node.add(other, "c2")
    agent_node.delete(other, "c2")
    agent_node.start_agent()
    time.sleep(1)
    assert (attached(agent_node), agent_node.held("vpn"), pod.routes()) == before
    agent_node.delete(pod, "c1")
    assert agent_node.held("vpn") == [] and agent_node.ports() == {}

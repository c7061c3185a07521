"""The whole installation: brought up in order, in parallel where nothing waits for it."""
import subprocess
import threading
import time

from . import plan
from .internet import Internet, Intranet, Isp, Provider, bridges
from .measure import Capture
from .namespaces import STATE, wait_all
from .node import Node
from .pod import Pod


def wait_for(what, condition, timeout=60, pause=0.05):
    """Asks `condition` until it is true; a deadline missed is an error that says what was awaited."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s still not: {what}")
        time.sleep(pause)
    return value


def in_parallel(functions):
    """Calls functions at the same time; the first failure is raised when all are done."""
    problems = []

    def call(function):
        try:
            function()
        except Exception as problem:  # raised below: a thread's failure would only be printed
            problems.append(problem)
    threads = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


class Lab:
    """All namespaces by name: `internet`, `intranet`, `isp`, `providers` by exit, `nodes`, `pods`.

    `log` is told of each part that is up; `save` is a directory that gets the programs' logs at the end,
    however it comes."""

    def __init__(self, log=None, save=None):
        self._say, self._save = log or (lambda text: None), save
        self.internet, self.intranet, self.isp = Internet(), Intranet(), Isp()
        self.providers = {exit_.name: Provider(exit_) for exit_ in plan.EXIT_LIST}
        self.nodes = {node.name: Node(node) for node in plan.NODES}
        self.pods = {pod.name: Pod(pod, self.nodes[pod.node]) for pod in plan.PODS}
        self.captures = {}

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self._save:
            self.save_logs(self._save)
        self.down()

    # --- parts ------------------------------------------------------------------------------------

    def machines(self):
        """Everything that is plugged into a switch."""
        return [self.internet, self.intranet, self.isp, *self.providers.values(),
                *self.nodes.values()]

    def everything(self):
        """Every namespace."""
        return [*self.machines(), *self.pods.values()]

    def agents(self):
        """Every running program of Byway in a pod."""
        return [pod.agent for pod in self.pods.values() if pod.agent]

    def of_role(self, role):
        """The pods of a role."""
        return [pod for pod in self.pods.values() if pod.role == role]

    # --- up -----------------------------------------------------------------------------------------

    def up(self):
        """Brings all of it up and waits until traffic passes."""
        self.build()
        self.start_nodes()
        self.wire_pods()
        self.start_agents()
        self.wait_ready()
        self._say("ready")
        return self

    def build(self):
        """Namespaces, cables, addresses, rules, far-end services: all but Byway itself."""
        for namespace in self.everything():
            namespace.start()
        self._say("namespaces")
        self._plug_machines()
        for machine in self.machines():
            machine.ip("link set lo up")
            machine.describe()
        wait_all([machine.configure() for machine in self.machines()])
        self._say("machines")
        self._plug_pods(self.pods.values())
        self.internet.serve()
        self.intranet.serve()
        self._say("pods")

    def _plug_machines(self):
        """The switches and every machine's cable to them, in one process."""
        lines = [*bridges(), *(line for machine in self.machines() for line in machine.cables())]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)

    def _plug_pods(self, pods):
        """The primary network of pods: their node's side first, since it makes the cables."""
        for pod in pods:
            pod.primary()
        by_node = {node: [pod for pod in pods if pod.node is node] for node in self.nodes.values()}
        wait_all([node.configure() for node in by_node])
        wait_all([*(pod.configure() for pod in pods),
                  *(node.publish(its) for node, its in by_node.items())])

    def start_nodes(self):
        """The node agents; returns when pods can be wired."""
        for node in self.nodes.values():
            node.agent.start()
        for node in self.nodes.values():
            wait_for(f"byway-node on {node.name} has made namespace and leases", node.ready)
        self._say("node agents")

    def wire_pods(self):
        """CNI ADD for every pod, the nodes at the same time."""
        def add_all(node):
            for pod in self.pods.values():
                if pod.node is node:
                    pod.add()
        in_parallel([lambda n=node: add_all(n) for node in self.nodes.values()])
        self._say("pods wired")

    def start_agents(self):
        """Routers and gateways."""
        for pod in self.pods.values():
            pod.write_configuration(self.providers.values())
            if pod.agent:
                pod.agent.start()
        self._say("agents")

    # --- state ----------------------------------------------------------------------------------------

    def wait_ready(self, timeout=90):
        """Waits until every agent says that it is ready, and a client's packets arrive."""
        for agent in self.agents():
            wait_for(f"{agent.program} of {agent.namespace.name} ready", agent.is_ready, timeout, 0.2)
        for client in self.of_role("client"):
            wait_for(f"{client.name} reaches the internet", lambda c=client: self.address_of(c),
                     timeout, 0.2)

    def address_of(self, pod, address=plan.SERVER, timeout=3):
        """The address that a web server says the pod comes from, "" when it cannot be asked."""
        return pod.run("curl", "-s", "-m", timeout, f"http://{address}/", check=False).stdout.strip()

    def capture(self):
        """Starts a capture on every node, replacing earlier ones, and waits until they listen."""
        self.stop_captures()
        self.captures = {name: Capture(node) for name, node in self.nodes.items()}
        for capture in self.captures.values():
            capture.listening()
        return self.captures

    def leaked(self):
        """All packets that the captures saw on their way to the internet, as tcpdump's lines."""
        return [line for capture in self.captures.values() for line in capture.packets()]

    def stop_captures(self):
        """Ends the captures."""
        for capture in self.captures.values():
            capture.stop()
        self.captures = {}

    # --- pods that come and go ----------------------------------------------------------------------------

    def remove_pod(self, pod):
        """Ends a pod as the runtime does: its processes, CNI DEL, its namespaces, its cable."""
        pod.kill()
        pod.delete()
        pod.stop()
        pod.node.forget(pod)

    def create_pod(self, pod, before_add=None):
        """Starts a pod as the runtime does; `before_add(pod)` is called when only its primary network
        stands, which is the moment before CNI ADD begins."""
        pod.renew()
        pod.start()
        self._plug_pods([pod])
        if before_add:
            before_add(pod)
        pod.add()
        pod.write_configuration(self.providers.values())
        if pod.agent:
            pod.agent.start()

    # --- down -------------------------------------------------------------------------------------------

    def down(self):
        """Ends everything, pods first; logs stay in the state directory."""
        for namespace in reversed(self.everything()):
            if namespace.pid:
                namespace.stop()
        for name in ("internet", "underlay"):
            subprocess.run(["ip", "link", "del", name], check=False, stderr=subprocess.DEVNULL)

    def adopt(self):
        """Takes over the installation that `python3 -m lab up` left running."""
        for namespace in self.everything():
            namespace.adopt()
        return self

    def save_logs(self, directory):
        """Copies what the programs said to a directory, such as /byway/build/lab/NAME."""
        subprocess.run(["mkdir", "-p", directory], check=True)
        subprocess.run(["cp", "-a", f"{STATE}/log/.", directory], check=True)

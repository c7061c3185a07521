"""What is measured: flows that keep talking, and packets that leak."""
import json
import os
import re
import select
import signal
import subprocess
import time

from . import plan
from .namespaces import STATE


class Flows:
    """Many connections from a pod to an echo (tests/lab/flows.c says what its figures mean).

    `interval` is in ms. Its answers are dictionaries; opened() waits until every connection is
    open or failed, settled() until every flow has been heard again or is lost.
    """

    def __init__(self, pod, count=300, protocol="tcp", interval=4000, address=plan.SERVER, port=7):
        self.process = pod.spawn("flows", protocol, address, port, count, interval,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.interval = interval
        self.opening = None
        self._rest = b""

    def _line(self, timeout):
        """The next line of output as a dictionary."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(f"flows: nothing said within {timeout} s")
            # The raw descriptor: a buffered reader would hide a second line from select().
            part = self.process.stdout.raw.read(65536)
            if not part:
                raise RuntimeError(f"flows ended: exit status {self.process.wait()}")
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def _ask(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self._line(30)

    def opened(self, timeout=120):
        """Waits until each connection is open or failed."""
        if self.opening is None:
            self.opening = self._line(timeout)
        return self.opening

    def mark(self):
        """Starts the measures anew."""
        return self._ask("mark")

    def check(self):
        """What happened since the mark."""
        return self._ask("check")

    def reopen(self, timeout=120):
        """Opens the lost ones again, each from the port it had; how many are open then, and by which exits."""
        self.process.stdin.write(b"reopen\n")
        self.process.stdin.flush()
        return self._line(timeout)

    def settled(self, timeout=60):
        """Checks until every flow was heard since the mark or is lost, or the time is over."""
        deadline = time.monotonic() + timeout
        while True:
            seen = self.check()
            if seen["answered"] + seen["lost"] >= seen["opened"] or time.monotonic() > deadline:
                return seen
            time.sleep(0.2)

    def end(self):
        """Lets the program end its connections, one after the other."""
        self.process.stdin.close()

    def stop(self):
        """The same, and waits for it."""
        self.end()
        self.process.wait(20)
        self.process.stdout.close()


class Pings:
    """A ping of the internet's server from a pod, many times a second."""

    def __init__(self, pod, interval=0.1):
        self.process = pod.spawn("ping", "-n", "-i", interval, plan.SERVER, stdout=subprocess.PIPE)

    def unanswered(self):
        """Ends it; the numbers of those that were never answered, up to the last one that was."""
        os.killpg(self.process.pid, signal.SIGINT)   # nsenter and, behind it, ping
        output = self.process.communicate(timeout=10)[0].decode()
        answered = {int(n) for n in re.findall(r"icmp_seq=(\d+) ttl=", output)}
        if not answered:
            raise RuntimeError(f"ping was never answered: {output}")
        return sorted(set(range(1, max(answered))) - answered)


def _any_of(words, kind):
    return "(" + " or ".join(f"{kind} {word}" for word in words) + ")"


def leak_filter():
    """The packets that a capture counts, in tcpdump's language: all that is on its way to the
    internet. Not counted is what gateways must send, and only they: WireGuard to the providers'
    endpoints; and ICMP errors about what came from there, which a node answers for a dead pod."""
    private = ["0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
               "192.168.0.0/16", "224.0.0.0/3"]
    nodes = {node.name: node for node in plan.NODES}
    senders = [node.address for node in plan.NODES]
    senders += [nodes[pod.node].pod_address(pod.index).split("/")[0]
                for pod in plan.PODS if pod.role == "gateway"]
    endpoints = [exit_.endpoint for exit_ in plan.EXIT_LIST]
    tunnel = (f"({_any_of(endpoints, 'dst host')} and {_any_of(senders, 'src host')} and "
              f"(udp dst port {plan.WIREGUARD_PORT} or icmp[icmptype] = icmp-unreach))")
    return (f"(ip and not {_any_of(private, 'dst net')} and not {tunnel})"
            " or (ip6 and dst net 2000::/3)")


class Capture:
    """Counts the packets on a node's interfaces, all of them, that are on their way to the
    internet outside of any tunnel. The kernel's filter decides, so that the count is complete."""

    def __init__(self, node):
        self.node = node
        self.log = STATE / "log" / f"capture-{node.name}.log"
        self.log.unlink(missing_ok=True)
        self.process = node.spawn("tcpdump", "-i", "any", "-n", "-l", "-tt", "--immediate-mode",
                                  "-B", "32768", leak_filter(), log=f"capture-{node.name}")

    def listening(self, timeout=30):
        """Waits until it captures."""
        deadline = time.monotonic() + timeout
        while "listening on" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"tcpdump on {self.node.name}: {self.log.read_text()}")
            time.sleep(0.05)

    def packets(self):
        """The packets seen, as tcpdump's lines."""
        return [line for line in self.log.read_text().splitlines() if re.match(r"\d+\.\d+ ", line)]

    def prove(self, pod, timeout=20):
        """Positive control: a pod without Byway on the same node pings the internet; returns the
        number of packets seen, and forgets none of the earlier ones: count differences."""
        before = len(self.packets())
        pod.run("ping", "-n", "-c", "1", "-W", "5", plan.SERVER)
        deadline = time.monotonic() + timeout
        while len(self.packets()) == before:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the capture on {self.node.name} sees no leak where there is one")
            time.sleep(0.05)
        return len(self.packets()) - before

    def stop(self):
        """Ends it; raises when the kernel had to drop packets uncounted."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        dropped = re.search(r"(\d+) packets dropped by kernel", self.log.read_text())
        if dropped and dropped.group(1) != "0":
            raise RuntimeError(f"tcpdump on {self.node.name}: {dropped.group(0)}")

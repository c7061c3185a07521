"""The failures of the main job, each played once; what comes back was measured meanwhile.

A drill leaves the installation whole again: what was killed has been created anew and is ready.
"""
import contextlib
import os
import signal
import threading
import time

from . import plan
from .lab import wait_for
from .measure import Flows

EXIT_OF = {exit_.public: exit_.name for exit_ in plan.EXIT_LIST}
GAPS = ("gap_ms", "gap_ms_by_exit")


def by_exit(counts):
    """Counts by public address as counts by the exit's name."""
    return {EXIT_OF.get(address, address): n for address, n in counts.items()}


def add_up(total, answer, longest=False):
    """Adds the figures of one pod's flows to those of others; of gaps the longest counts."""
    for key, value in answer.items():
        if isinstance(value, dict):
            add_up(total.setdefault(key, {}), value, longest or key in GAPS)
        elif longest or key in GAPS:
            total[key] = max(value, total.get(key, 0))
        else:
            total[key] = value + total.get(key, 0)
    return total


class Conversations:
    """Flows from every client pod, shared out evenly, asked and judged as one."""

    def __init__(self, lab, count=300, **options):
        clients = lab.of_role("client")
        self.parts = [Flows(pod, count // len(clients), **options) for pod in clients]
        try:
            self.opening = [part.opened() for part in self.parts]   # by client
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends them."""
        for part in self.parts:
            with contextlib.suppress(OSError):
                part.end()
        for part in self.parts:
            with contextlib.suppress(OSError):
                part.stop()

    def _all(self, verb, *words):
        total = {}
        for part in self.parts:
            add_up(total, getattr(part, verb)(*words))
        return total

    def opened(self):
        """How many are open, and by which exits."""
        total = {}
        for answer in self.opening:
            add_up(total, answer)
        return total

    def mark(self):
        """Starts the measures anew."""
        self._all("mark")

    def check(self):
        """What happened since the mark."""
        return self._all("check")

    def reopen(self):
        """Opens the lost ones again, each from the port it had; what opened() would say then."""
        return self._all("reopen")

    def settled(self, timeout=90):
        """The check when every flow was heard since the mark or is lost, or the time is over. One that
        is neither is counted as lost, and told apart as silent."""
        seen = self._all("settled", timeout)
        seen["silent"] = seen["alive"] - seen["answered"]
        seen["lost"] += seen["silent"]
        return seen


def active_router(lab):
    """The router that holds the VIP."""
    return wait_for("a router is active", lambda: next(
        (pod for pod in lab.of_role("router") if pod.status().get("role") == "active"), None))


def standby_router(lab):
    """The other one."""
    active = active_router(lab)
    return next(pod for pod in lab.of_role("router") if pod is not active)


def held_by(gateway):
    """Names of the exits that a gateway pod is active for."""
    return [exit_["name"] for exit_ in gateway.status().get("exits", [])
            if exit_["state"] == "active"]


def busiest_gateway(lab):
    """The gateway pod that carries most exits."""
    return max(lab.of_role("gateway"), key=lambda pod: len(held_by(pod)))


def exit_states(router):
    """State of each known exit as a router sees it, by address."""
    return {e["address"]: e["state"] for e in router.status().get("exits", [])}


def wait_exits(lab, state, exits=None, timeout=60):
    """Waits until every router sees the exits (default: all) in a state."""
    addresses = [e.address for e in plan.EXIT_LIST if exits is None or e.name in exits]
    for router in lab.of_role("router"):
        wait_for(f"{router.name} sees exits {state}: {addresses}",
                 lambda r=router: all(exit_states(r).get(a) == state for a in addresses), timeout, 0.2)


def come_back(lab, pod):
    """The runtime and the API replace a pod that died; returns when it is ready."""
    lab.remove_pod(pod)
    lab.create_pod(pod)
    wait_for(f"{pod.name} ready again", pod.agent.is_ready, 90, 0.2)


def lose(lab, flows, pod, how):
    """A pod goes, by "kill" (SIGKILL to all of it, links cut) or "term" (SIGTERM, as a deletion does),
    and is replaced. Returns the check of the flows after its loss."""
    if how == "kill":
        pod.die()
    else:
        status = pod.agent.stop()
        assert status == 0, f"{pod.name}: exit status {status} after SIGTERM"
    flows.mark()    # only now: what was heard before counts for nothing
    seen = flows.settled()
    come_back(lab, pod)
    return seen


def lose_router(lab, flows, how="kill"):
    """The active router goes; the standby must take over. What comes back says who took over."""
    active, standby = active_router(lab), standby_router(lab)
    seen = lose(lab, flows, active, how)
    seen["active"] = active_router(lab).name
    assert seen["active"] == standby.name, "the router that died is active again"
    return seen


def lose_gateway(lab, flows, how="kill"):
    """The gateway pod with most exits goes; the other member must take them over. The gap is that of
    the flows it carried."""
    pod = busiest_gateway(lab)
    carried = held_by(pod)
    seen = lose(lab, flows, pod, how)
    gaps = by_exit(seen["gap_ms_by_exit"])
    seen["carried"] = carried
    seen["gap_ms"] = max((gaps.get(name, 0) for name in carried), default=0)
    return seen


def end_elections(pod):
    """SIGKILL to a pod's keepalived; its agent lives, gives up what it held and starts another."""
    for pid in pod.processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            if cmdline.read().startswith(b"keepalived\0"):
                os.kill(pid, signal.SIGKILL)


def hand_back_and_forth(lab, flows, times):
    """The exits change their holder, `times` over, while both agents live: whoever takes them over has
    held them before. Returns the checks of the flows."""
    seen = []
    for _ in range(times):
        holder = busiest_gateway(lab)
        other = next(pod for pod in lab.of_role("gateway") if pod is not holder)
        end_elections(holder)
        wait_for(f"{other.name} holds all exits", lambda: len(held_by(other)) == len(plan.EXIT_LIST))
        flows.mark()
        seen.append(flows.settled())
        wait_for(f"{holder.name} ready again", holder.agent.is_ready, 90, 0.2)
    return seen


class ResetsSent:
    """Counts the RSTs that the internet's server sends: what a flow's packet would meet there, had it
    come by another exit than the flow's own."""

    RULES = ("table ip resets { counter sent { }\n chain out { type filter hook output priority 0;\n"
             "tcp flags & rst == rst counter name sent\n}\n}")

    def __init__(self, lab):
        self.server = lab.internet

    def __enter__(self):
        self.server.run("nft", "-f", "-", text=self.RULES)
        return self

    def count(self):
        """RSTs sent since it began."""
        return int(self.server.run("nft", "list", "counters", "table", "ip", "resets")
                   .split("packets ")[1].split()[0])

    def __exit__(self, *_):
        self.server.run("nft", "delete table ip resets")


def cut_exit(lab, flows, name, patience=60):
    """A provider falls silent. Its flows must be refused (RST, ICMP), not hung and not moved, the others
    untouched; new flows must avoid it. It stays silent: return_exit() is the other half."""
    before = by_exit(flows.check()["per_exit"])
    flows.mark()
    with ResetsSent(lab) as resets:
        begun = time.monotonic()
        lab.providers[name].silence()
        wait_exits(lab, "down", [name])
        detected = time.monotonic() - begun
        deadline = begun + patience
        while by_exit(flows.check()["lost_by_exit"])[name] < before[name] and \
                time.monotonic() < deadline:
            time.sleep(0.2)
        seen = flows.check()
        strayed = resets.count()
    lost = by_exit(seen["lost_by_exit"])
    again = flows.reopen()
    with Conversations(lab, 60) as fresh:
        new = fresh.opened()
    return {"flows": before[name], "again": again, "reset": by_exit(seen["reset_by_exit"])[name],
            "others_lost": sum(lost.values()) - lost[name], "others_moved": seen["moved"],
            "detected_ms": round(1000 * detected), "strayed": strayed, "new": new}


def return_exit(lab, flows, name):
    """The provider answers again: new flows use it, established ones stay where they are."""
    flows.mark()
    lab.providers[name].resume()
    wait_exits(lab, "up", [name])
    with Conversations(lab, 60) as fresh:
        new = fresh.opened()
    seen = flows.settled()
    return {"moved": seen["moved"], "alive": seen["alive"], "answered": seen["answered"], "new": new}


def attempt(client):
    """Ten connections that must fail: the errors they met, and how long it took to learn."""
    begun = time.monotonic()
    flows = Flows(client, 10)
    try:
        opening = flows.opened()
    finally:
        flows.stop()
    return {"opened": opening["opened"], "errors": opening["errors"],
            "ms": round(1000 * (time.monotonic() - begun))}


class Insistence:
    """Clients that go on trying, in the background, for as long as it lasts."""

    def __init__(self, lab):
        self.lab, self.tries, self.opened, self.over = lab, 0, 0, threading.Event()
        self.threads = [threading.Thread(target=self._insist, args=(c,))
                        for c in lab.of_role("client")]

    def _insist(self, client):
        while not self.over.is_set():
            seen = attempt(client)
            self.tries += 10
            self.opened += seen["opened"]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


@contextlib.contextmanager
def silent_providers(lab):
    """All of them silent, for as long as it lasts; what comes after finds exits that are up."""
    for provider in lab.providers.values():
        provider.silence()
    try:
        yield
    finally:
        for provider in lab.providers.values():
            provider.resume()
    wait_exits(lab, "up")
    lab.wait_ready()


def cut_all_exits(lab):
    """Every provider falls silent, and meanwhile routers and gateways are killed and replaced. Clients
    must be refused at once and nothing may leave another way. All providers answer again afterwards."""
    before = len(lab.leaked())
    with silent_providers(lab):
        wait_exits(lab, "down")
        refused = [attempt(client) for client in lab.of_role("client")]
        with Insistence(lab) as insistence:
            for pod in lab.of_role("router") + lab.of_role("gateway"):
                pod.die()
                lab.remove_pod(pod)
                lab.create_pod(pod)
            time.sleep(3)
        leaked = lab.leaked()[before:]
    return {"refused": refused, "tries": insistence.tries, "opened": insistence.opened,
            "leaked": leaked}


def boot_client(lab, pod, seconds=5):
    """A client pod is created; from its first instruction a program in it sends to the internet, until
    the pod is removed. Returns the packets that leaked from before CNI ADD until after DEL."""
    seen = {}

    def begin(_):
        seen["before"] = len(lab.leaked())

    lab.remove_pod(pod)
    lab.create_pod(pod, before_add=begin)
    first = pod.spawn("first", plan.SERVER, log="first")
    wait_for(f"{pod.name} reaches the internet", lambda: lab.address_of(pod), 30, 0.2)
    time.sleep(seconds)
    running = first.poll() is None
    lab.remove_pod(pod)
    time.sleep(1)
    leaked = lab.leaked()[seen["before"]:]
    lab.create_pod(pod)
    return {"leaked": leaked, "running": running}

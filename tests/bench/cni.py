"""The CNI plugin beside Debian's bridge and host-local.

Both attach the same namespaces, by turns, so that what else goes on in the machine meets both. byway works on a
bridge that the real node agent made, with the routes of a client; bridge makes its own, as a second network of a
pod is configured: no gateway, no masquerading, addresses from host-local. What is timed is what a runtime waits
for, from the start of the process to its end.
"""
import itertools
import json
import pathlib
import re
import statistics
import struct
import tempfile

from lab.host import BUILD, NETNS, Host, run

from . import figures
from .limit import CpuLimit
from .stopwatch import Stopwatch

PART = "ADD and DEL of byway, and of bridge with host-local"
PLUGINS = "/usr/lib/cni"
SUBNET, VIP = "172.28.0.0/16", "172.28.255.254"
RANGE = "172.28.0.1-172.28.79.255"  # 20,479 addresses
ROUNDS = 150
TOGETHER, TOGETHER_ROUNDS = 30, 7
FEW, MANY = 10, 10000
QUOTA_MS, PERIOD_MS, LIMITED_ROUNDS = 10, 100, 4


class Contender:
    """A plugin with its configuration, and how its tables are filled."""

    def __init__(self, name, program, ifname, conf):
        self.name, self.program, self.ifname, self.conf = name, program, ifname, conf

    def environment(self, verb, pod, container):
        return {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": f"/run/netns/{pod}",
                "CNI_IFNAME": self.ifname, "CNI_PATH": PLUGINS, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class Byway(Contender):
    def __init__(self):
        super().__init__("byway", BUILD / "byway", "net1", {
            "cniVersion": "1.0.0", "name": "vpn", "type": "byway", "role": "client", "subnet": SUBNET,
            "vip": VIP, "intranet": ["10.0.0.0/8"]})

    def holding(self, count, directory):
        """The same, with that many leases in a table of its own."""
        made = Byway()
        made.conf["leaseDir"] = str(directory)
        run(BUILD / "tests/lease_ensure", directory, "vpn", "client", RANGE)
        run(BUILD / "tests/lease_ensure", "--fill", directory, "vpn", "client", count)
        return made


class Bridge(Contender):
    def __init__(self):
        super().__init__("bridge", f"{PLUGINS}/bridge", "net2", {
            "cniVersion": "1.0.0", "name": "plain", "type": "bridge", "bridge": "plain0",
            "isGateway": False, "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "172.29.0.0/16"}]]}})

    def holding(self, count, directory):
        """The same; a file for each lease, as host-local writes them, in a place of its own."""
        made = Bridge()
        made.conf["ipam"]["dataDir"] = str(directory)
        place = pathlib.Path(directory) / "plain"
        place.mkdir(parents=True)
        for i in range(count):
            (place / f"172.29.{i // 250}.{i % 250 + 2}").write_text(f"held-{i}\r\nnet2", encoding="ascii")
        (place / "last_reserved_ip.0").write_text(f"172.29.{(count - 1) // 250}.{(count - 1) % 250 + 2}",
                                                  encoding="ascii")
        return made


class Bench:
    def __init__(self):
        self.stopwatch = Stopwatch()
        self.contenders = [Byway(), Bridge()]
        self.serial = itertools.count()
        self.pods = [f"bench{i}" for i in range(TOGETHER)]
        for pod in self.pods:
            run("ip", "netns", "add", pod)
            run("ip", "-n", pod, "link", "set", "lo", "up")

    def once(self, contender, verb, pod, container):
        return self.stopwatch.time(contender.program, json.dumps(contender.conf),
                                   contender.environment(verb, pod, container))

    def everywhere(self, contender, verb, container, how, group="-"):
        """In every pod, "together" or "in-turn": ([Run], milliseconds in all)."""
        for pod in self.pods:
            self.stopwatch.add(contender.program, json.dumps(contender.conf),
                               contender.environment(verb, pod, f"{container}-{pod}"), group)
        return self.stopwatch.run(how)

    def alternate(self, contenders, rounds):
        """ADD and DEL of each by turns, beginning with another each time: {(which, verb): [Run]}."""
        runs = {(i, verb): [] for i in range(len(contenders)) for verb in ("ADD", "DEL")}
        for n in range(rounds):
            pod, container = self.pods[n % len(self.pods)], f"one{next(self.serial)}"
            for k in range(len(contenders)):
                which = (n + k) % len(contenders)
                for verb in ("ADD", "DEL"):
                    runs[which, verb].append(self.once(contenders[which], verb, pod, container))
        return runs

    def close(self):
        self.stopwatch.close()
        for pod in self.pods:
            run("ip", "netns", "delete", pod, check=False)


def summary(runs):
    return {"wall_ms": figures.spread(r.wall for r in runs), "cpu_ms": figures.spread(r.cpu for r in runs),
            "max_rss_kib": max(r.rss for r in runs)}


def one_by_one(bench):
    """One attachment after the other on an idle machine; and a program that does nothing at all, which is
    what the machine takes to start any program in C."""
    runs = bench.alternate(bench.contenders, ROUNDS)
    empty = [bench.stopwatch.time(BUILD / "tests/stopwatch") for _ in range(ROUNDS)]
    result = {"rounds": ROUNDS, "empty_program": summary(empty)}
    for i, contender in enumerate(bench.contenders):
        result[contender.name] = {verb.lower(): summary(runs[i, verb]) for verb in ("ADD", "DEL")}
    return result


def together(bench):
    walls = {c.name: [] for c in bench.contenders}
    for n in range(TOGETHER_ROUNDS):
        for contender in bench.contenders[::1 if n % 2 else -1]:
            walls[contender.name].append(bench.everywhere(contender, "ADD", f"t{n}", "together")[1])
            bench.everywhere(contender, "DEL", f"t{n}", "together")
    return {"adds": TOGETHER, "rounds": TOGETHER_ROUNDS,
            **{name: {"wall_ms": figures.spread(values)} for name, values in walls.items()}}


def limited(bench):
    """ADDs back to back in a control group that may use 10 ms of every 100 ms, as in the pod of a thick Multus.
    The mean counts: a single ADD may be lucky and use what the one before has left."""
    means = {c.name: [] for c in bench.contenders}
    with CpuLimit(QUOTA_MS, PERIOD_MS) as limit:
        for n in range(LIMITED_ROUNDS):
            for contender in bench.contenders[::1 if n % 2 else -1]:
                _, whole = bench.everywhere(contender, "ADD", f"l{n}", "in-turn", limit.group(contender.name))
                bench.everywhere(contender, "DEL", f"l{n}", "together")
                means[contender.name].append(whole / TOGETHER)
    return {"quota_ms": QUOTA_MS, "period_ms": PERIOD_MS, "adds": LIMITED_ROUNDS * TOGETHER,
            "control_group": limit.kind,
            **{name: {"mean_ms": round(statistics.mean(values), 3)} for name, values in means.items()}}


def by_leases(bench):
    """ADD with few and with many leases held, by turns."""
    result = {}
    for contender, rounds in zip(bench.contenders, (ROUNDS, ROUNDS // 5)):
        with tempfile.TemporaryDirectory() as directory:
            pair = [contender.holding(count, f"{directory}/{count}") for count in (FEW, MANY)]
            runs = bench.alternate(pair, rounds)
        result[contender.name] = {"rounds": rounds, **{
            str(count): {verb.lower(): figures.spread(r.wall for r in runs[i, verb]) for verb in ("ADD", "DEL")}
            for i, count in enumerate((FEW, MANY))}}
    return result


# --- what a process does, not how long it takes ---

def is_static(program):
    """Does the ELF file name no interpreter (PT_INTERP)?"""
    data = pathlib.Path(program).read_bytes()
    offset, size, count = struct.unpack_from("<Q14xHH", data, 32)
    return all(struct.unpack_from("<I", data, offset + i * size)[0] != 3 for i in range(count))


def traced(*command, **kwargs):
    """Counts of what strace saw in the process and all its children. It knows the names of netlink's messages
    only in its own network namespace, hence the numbers beside them."""
    with tempfile.NamedTemporaryFile("r") as trace:
        run("strace", "-f", "-o", trace.name, *command, **kwargs)
        calls = trace.read()

    def count(pattern):
        return len(re.findall(pattern, calls))

    return {"system_calls": count(r"(?m)^\d+ +\w+\("),
            "programs": count(r"execve\("),
            "new_processes": count(r"\b(?:v?fork|clone3?)\((?!.*CLONE_THREAD)"),
            "sleeps": count(r"\b(?:clock_)?nanosleep\("),
            "dumps_of_all_links": count(r"type=(?:RTM_GETLINK|0x12 )[^}]*flags=[^,]*(?:NLM_F_DUMP|0x300)")}


def facts(bench):
    pod = bench.pods[0]
    for seen in (traced("ip", "link"), traced("ip", "-n", pod, "link")):
        assert seen["dumps_of_all_links"] == 1, "a dump of all links is not recognized"
    result = {}
    for contender in bench.contenders:
        result[contender.name] = {"static": is_static(contender.program),
                                  "size_bytes": pathlib.Path(contender.program).stat().st_size}
        for verb in ("ADD", "DEL"):
            result[contender.name][verb.lower()] = traced(
                contender.program, input=json.dumps(contender.conf),
                env=contender.environment(verb, pod, "traced"))
    return result


# --- the whole ---

def targets(result):
    one, ours = result["one_by_one"], result["facts"]["byway"]
    leases = result["leases"]["byway"]

    def gain(section, *path):
        values = []
        for name in ("bridge", "byway"):
            value = section and section[name]
            for key in path:
                value = value and value[key]
            values.append(value)
        return figures.ratio(*values) if all(values) else None

    def least(key):
        return sum(ours[verb][key] for verb in ("add", "del"))

    return [
        figures.at_least("ADD, times faster", 5, gain(one, "add", "wall_ms", "median")),
        figures.at_least("DEL, times faster", 1, gain(one, "del", "wall_ms", "median")),
        figures.at_least(f"{TOGETHER} ADDs at once, times faster", 5,
                         gain(result["together"], "wall_ms", "median")),
        figures.at_least(f"ADD with {QUOTA_MS} ms per {PERIOD_MS} ms, times faster", 8,
                         gain(result["limited"], "mean_ms")),
        figures.at_most(f"ADD with {MANY} leases, times one with {FEW}", 1.1,
                        figures.ratio(leases[str(MANY)]["add"]["median"], leases[str(FEW)]["add"]["median"])),
        figures.at_most("memory at most, KiB", 2047,
                        max(one["byway"][verb]["max_rss_kib"] for verb in ("add", "del"))),
        figures.target("static binary", "yes", "yes" if ours["static"] else "no", ours["static"]),
        *(figures.at_most(what, 0, least(key)) for what, key in (
            ("processes started", "new_processes"), ("sleeps", "sleeps"),
            ("dumps of all links", "dumps_of_all_links"))),
    ]


def table(result):
    one = result["one_by_one"]

    def row(what, section, *path):
        cells = [what]
        for name in ("byway", "bridge"):
            value = section and section[name]
            for key in path:
                value = value and value[key]
            cells.append("-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value))
        return cells

    rows = [["", "byway", "bridge + host-local"]]
    for verb in ("add", "del"):
        for what, path in (("median, ms", ("wall_ms", "median")), ("90 % below, ms", ("wall_ms", "p90")),
                           ("CPU, ms", ("cpu_ms", "median")), ("memory, KiB", ("max_rss_kib",))):
            rows.append(row(f"{verb.upper()}, {what}", one, verb, *path))
    rows.append(row(f"{TOGETHER} ADDs at once, ms", result["together"], "wall_ms", "median"))
    rows.append(row(f"ADD with {QUOTA_MS} ms per {PERIOD_MS} ms, ms", result["limited"], "mean_ms"))
    for count in (FEW, MANY):
        for verb in ("add", "del"):
            rows.append(row(f"{verb.upper()} with {count} leases, ms", result["leases"], str(count), verb, "median"))
    for verb in ("add", "del"):
        for key in ("system_calls", "programs", "new_processes", "sleeps", "dumps_of_all_links"):
            rows.append(row(f"{verb.upper()}: {key.replace('_', ' ')}", result["facts"], verb, key))
    rows.append(["an empty C program, ms", f"{one['empty_program']['wall_ms']['median']:.2f}", ""])
    return rows


def version(package):
    return run("dpkg-query", "-W", "-f", "${Version}", package).stdout


def measure():
    result = {"against": f"bridge and host-local of containernetworking-plugins "
                         f"{version('containernetworking-plugins')}", "reasons": {}}
    host = Host([{"name": "vpn", "vni": 7950, "subnet": SUBNET, "vip": VIP,
                  "leases": [{"role": "client", "range": RANGE}]}])
    bench = None
    try:
        host.start()
        bench = Bench()
        result["one_by_one"] = one_by_one(bench)
        result["together"] = together(bench)
        try:
            result["limited"] = limited(bench)
        except CpuLimit.Impossible as e:
            result["limited"], result["reasons"]["limited"] = None, str(e)
        result["leases"] = by_leases(bench)
        result["facts"] = facts(bench)
    finally:
        if bench:
            bench.close()
        host.stop()
    result["targets"] = targets(result)
    return result, table(result)

"""A table of input that is wrong: the code and the words of the answer to each, and nothing changed.

Every row is executed with bounded memory and time on a node that has an attachment already; links,
routes and leases are compared with what they were."""
import json
import os
import resource
import subprocess

import pytest

from node import BUILD, Node

MEMORY, SECONDS = 256 << 20, 5

# Statuses: 2 where the input is to blame, else 1.
INPUT_CODES = (1, 2, 4, 6, 7)


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Bench:
    """A node with the attachment c1/net1 in one pod, and a pod that wants one."""

    def __init__(self, directory):
        self.node = Node(f"bad{os.getpid()}", directory / "leases")
        self.taken, self.pod = self.node.pod("taken"), self.node.pod("free")
        self.result = self.node.add(self.taken, "c1")
        self.file = directory / "file"
        self.file.write_text("")
        os.mkfifo(directory / "pipe")
        self.directory = directory

    def state(self):
        return self.node.state(self.taken, self.pod)

    def run(self, verb, env, text):
        """(exit status, answer) of one command; `env` is added, None removes."""
        environment = self.node.environment(verb, self.pod, "c2")
        environment.update(env)
        out = subprocess.run([BUILD / "byway"], input=text, capture_output=True, timeout=20,
                             env={k: v for k, v in environment.items() if v is not None},
                             check=False, preexec_fn=limit)
        assert out.stderr == b""
        return out.returncode, json.loads(out.stdout) if out.stdout else None


@pytest.fixture(name="bench", scope="module")
def bench_of_the_module(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("bad"))
    yield bench
    bench.node.close()


def env(title, code, words, verb="ADD", **variables):
    return pytest.param(verb, variables, {}, None, code, words, id=title)


def conf(title, code, words, verb="ADD", **changes):
    return pytest.param(verb, {}, changes, None, code, words, id=title)


def text(title, code, words, content, verb="ADD"):
    content = content if isinstance(content, bytes) else content.encode()
    return pytest.param(verb, {}, {}, content, code, words, id=title)


ENVIRONMENT = [
    env("no verb of ours", 4, '"LAUNCH" is none of ADD', CNI_COMMAND="LAUNCH"),
    env("verb in small letters", 4, '"add" is none of', CNI_COMMAND="add"),
    env("verb with a blank", 4, '"ADD " is none of', CNI_COMMAND="ADD "),
    env("verb of 100 kB", 4, "is none of ADD", CNI_COMMAND="A" * 100000),
    env("nothing at all", 4, "missing in the environment: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME",
        CNI_CONTAINERID=None, CNI_NETNS=None, CNI_IFNAME=None),
    env("empty container id", 4, "missing in the environment: CNI_CONTAINERID", CNI_CONTAINERID=""),
    env("DEL without container id", 4, "CNI_CONTAINERID", verb="DEL", CNI_CONTAINERID=None),
    env("CHECK without namespace", 4, "CNI_NETNS", verb="CHECK", CNI_NETNS=None),
    env("container id climbs up", 4, '"../../etc/passwd" is not a container id',
        CNI_CONTAINERID="../../etc/passwd"),
    env("container id has a slash", 4, "is not a container id", CNI_CONTAINERID="a/b"),
    env("container id is dots", 4, "is not a container id", CNI_CONTAINERID=".."),
    env("container id has a line end", 4, "is not a container id", CNI_CONTAINERID="a\nb"),
    env("container id begins with a dash", 4, "is not a container id", CNI_CONTAINERID="-rf"),
    env("container id is not ASCII", 4, "is not a container id", CNI_CONTAINERID=b"a\xff"),
    env("container id of 129 letters", 4, "longer than 128 characters", CNI_CONTAINERID="a" * 129),
    env("container id of 100 kB", 4, "longer than 128", CNI_CONTAINERID="a" * 100000),
    env("DEL climbs up", 4, "is not a container id", verb="DEL", CNI_CONTAINERID="../x"),
    env("interface of 16 letters", 4, '"sixteen-letters-" is longer than 15',
        CNI_IFNAME="sixteen-letters-"),
    env("interface of 100 kB", 4, "longer than 15", CNI_IFNAME="n" * 100000),
    env("interface has a slash", 4, "is not an interface name", CNI_IFNAME="a/b"),
    env("interface is dots", 4, "is not an interface name", CNI_IFNAME=".."),
    env("interface has a colon", 4, "is not an interface name", CNI_IFNAME="a:1"),
    env("interface has a blank", 4, "is not an interface name", CNI_IFNAME="a b"),
    env("interface has a line end", 4, "is not an interface name", CNI_IFNAME="a\n"),
    env("interface is not UTF-8", 4, "is not UTF-8", CNI_IFNAME=b"a\xff"),
    env("interface is missing", 4, "CNI_IFNAME", CNI_IFNAME=None),
    env("namespace is a plain file", 8, "not a network namespace", CNI_NETNS="{file}"),
    env("namespace is a directory", 8, "not a network namespace", CNI_NETNS="/run/netns"),
    env("namespace is a pipe", 8, "not a network namespace", CNI_NETNS="{directory}/pipe"),
    env("namespace is a device", 8, "not a network namespace", CNI_NETNS="/dev/null"),
    env("namespace is of another kind", 8, "not a network namespace",
        CNI_NETNS="/proc/self/ns/mnt"),
    env("namespace is missing", 8, "/run/netns/nowhere: No such file",
        CNI_NETNS="/run/netns/nowhere"),
    env("namespace is the host's", 8, "the host's own network namespace",
        CNI_NETNS="/proc/self/ns/net"),
    env("namespace is the agent's", 8, "the node agent's network namespace", CNI_NETNS="{agent}"),
    env("namespace path of 5000 letters", 8, "File name too long", CNI_NETNS="/" + "x" * 5000),
    env("namespace is not UTF-8", 4, "is not UTF-8", CNI_NETNS=b"/run/\xff"),
    env("interface is taken", 103, "net1", CNI_NETNS="{taken}"),
    env("eth0 is taken", 103, "eth0", CNI_IFNAME="eth0"),
    env("container is attached", 103, "net1", CNI_CONTAINERID="c1"),
    env("requested address is none", 4, "CNI_ARGS", CNI_ARGS="IP=300.1.1.1"),
    env("requested address is outside", 7, "10.0.0.1", CNI_ARGS="IP=10.0.0.1"),
    env("requested address is the VIP", 7, "192.168.50.240", CNI_ARGS="IP=192.168.50.240"),
    env("requested address is held", 102, "192.168.50.1 is held by container c1",
        CNI_ARGS="IP=192.168.50.1"),
    env("requested address is another role's", 101, "192.168.50.241",
        CNI_ARGS="IP=192.168.50.241"),
    env("requested MAC address is none", 4, "CNI_ARGS", CNI_ARGS="MAC=zz:zz:zz:zz:zz:zz"),
    env("requested MAC address is multicast", 4, "CNI_ARGS", CNI_ARGS="MAC=01:00:5e:00:00:01"),
    env("request of 10 kB", 4, "IP or MAC is too long", CNI_ARGS="IP=" + "1" * 10000),
]

GOOD_HEAD = '{"cniVersion":"1.0.0","name":"vpn","type":"byway",'

SYNTAX = [
    text("no input", 6, "stdin:1:", ""),
    text("blanks", 6, "stdin:", " \n\n "),
    text("an open brace", 6, "stdin:1:", "{"),
    text("cut off in a string", 6, "stdin:1:", '{"name":"vp'),
    text("cut off behind a colon", 6, "stdin:1:", '{"name":'),
    text("single quotes", 6, "stdin:1:", "{'name':'vpn'}"),
    text("a comment", 6, "stdin:1:", "{/* hello */}"),
    text("a comma too many", 6, "stdin:1:", '{"name":"vpn",}'),
    text("two documents", 6, "end of file expected", "{}{}"),
    text("a list", 6, "must be an object", "[]"),
    text("a number", 6, "expected near '7'", "7"),
    text("null", 6, "expected near 'null'", "null"),
    text("NaN", 6, "stdin:1:", '{"mtu":NaN}'),
    text("a byte order mark", 6, "stdin:1:", b"\xef\xbb\xbf{}"),
    text("UTF-16", 6, "NUL byte", "{}".encode("utf-16")),
    text("a NUL byte", 6, "NUL byte", b'{"name":"vpn"}\0'),
    text("not UTF-8", 6, "unable to decode byte 0xff", b'{"name":"\xff\xfe"}'),
    text("half a surrogate pair", 6, "stdin:1:", r'{"name":"\ud800"}'),
    text("a NUL in a string", 6, "\\u0000", r'{"name":"a\u0000b"}'),
    text("a control character", 6, "control character", '{"name":"a\x01"}'),
    text("a number of 30 digits", 6, "too big integer", '{"mtu":' + "9" * 30 + "}"),
    text("a number beyond all", 6, "real number overflow", '{"mtu":1e400}'),
    text("1 MiB of lists", 6, "maximum parsing depth", "[" * (1 << 20)),
    text("1 MiB of objects", 6, "maximum parsing depth", '{"a":' * (1 << 18)),
    text("1 MiB of nesting in a key of others", 6, "maximum parsing depth",
         GOOD_HEAD + '"x":' + "[" * (1 << 19) + "]" * (1 << 19) + "}"),
    text("5 MiB", 6, "larger than 4194304 bytes", " " * (5 << 20)),
    text("error in line 4", 6, "stdin:4:", '{\n"name": "vpn",\n\n"role" "client"}'),
    text("version twice, the last counts", 1, '"9.9.9"',
         '{"cniVersion":"1.0.0","cniVersion":"9.9.9"}'),
    text("role twice, the last counts", 7, '"pilot" is none of',
         GOOD_HEAD + '"role":"client","role":"pilot"}'),
    text("key in two spellings, the exact one counts", 7, "role: \"pilot\"",
         GOOD_HEAD + '"role":"pilot","ROLE":"client"}'),
    text("a hundred thousand keys", 7, 'key "role" is missing',
         GOOD_HEAD + ",".join(f'"k{n}":0' for n in range(100000)) + "}"),
    text("a string of 3 MiB", 7, "is not a network name", '{"name":"' + "a/" * (3 << 19) + '"}'),
    text("DEL without JSON", 6, "stdin:1:", "{", verb="DEL"),
    text("GC without JSON", 6, "stdin:1:", "", verb="GC"),
    text("STATUS of a list", 6, "must be an object", "[]", verb="STATUS"),
]

MANY = ["10.0.0.0/8"] * 100000

CONFIGURATION = [
    conf("version 9.9.9", 1, 'config is "9.9.9", plugin supports 0.1.0 to 1.1.0',
         cniVersion="9.9.9"),
    conf("version 1.2.0", 1, 'config is "1.2.0"', cniVersion="1.2.0"),
    conf("version 1", 6, '"1" is not a version', cniVersion="1"),
    conf("version 1.0", 6, '"1.0" is not a version', cniVersion="1.0"),
    conf("version abc", 6, '"abc" is not a version', cniVersion="abc"),
    conf("version with a blank", 6, '"1.0.0 " is not a version', cniVersion="1.0.0 "),
    conf("version is a number", 6, "cniVersion: must be a string", cniVersion=1.0),
    conf("version is a list", 6, "cniVersion: must be a string", cniVersion=["1.0.0"]),
    conf("no name", 7, 'key "name" is missing', name=None),
    conf("name is empty", 7, "name: must not be empty", name=""),
    conf("name is a number", 7, "name: must be a string", name=7),
    conf("name climbs up", 7, '"../../etc" is not a network name', name="../../etc"),
    conf("name cannot name the network", 7, 'set "network"', name="a-very-long-name"),
    conf("no role", 7, 'key "role" is missing', role=None),
    conf("role of nobody", 7, '"pilot" is none of client, router, gateway, sync', role="pilot"),
    conf("role is a number", 7, "role: must be a string", role=1),
    conf("network of 13 letters", 7, '"thirteen-char" is not a name of up to 12',
         network="thirteen-char"),
    conf("network climbs up", 7, '"../x" is not a name', network="../x"),
    conf("network in capitals", 7, '"VPN" is not a name', network="VPN"),
    conf("network is an object", 7, "network: must be a string", network={}),
    conf("no subnet", 7, 'key "subnet" is missing', subnet=None),
    conf("subnet is an address", 7, "the prefix length is not within 8 to 30",
         subnet="192.168.50.0"),
    conf("subnet has host bits", 7, "192.168.50.0/24 is meant?", subnet="192.168.50.5/24"),
    conf("subnet of 33 bits", 7, '"192.168.50.0/33" is not a prefix', subnet="192.168.50.0/33"),
    conf("subnet of 31 bits", 7, "not within 8 to 30", subnet="192.168.50.240/31"),
    conf("subnet of 7 bits", 7, "not within 8 to 30", subnet="192.0.0.0/7"),
    conf("subnet of IPv6", 7, "must be an IPv4 prefix", subnet="fd00::/64"),
    conf("subnet is a number", 7, "subnet: must be a string", subnet=24),
    conf("no VIP", 7, 'key "vip" is missing', vip=None),
    conf("VIP outside", 7, "not an address for a host in", vip="192.168.51.240"),
    conf("VIP is the network's", 7, "not an address for a host in", vip="192.168.50.0"),
    conf("VIP is the broadcast", 7, "not an address for a host in", vip="192.168.50.255"),
    conf("VIP of IPv6", 7, "must be an IPv4 address", vip="fd00::1"),
    conf("VIP with a prefix", 7, '"192.168.50.240/24" is not an address', vip="192.168.50.240/24"),
    conf("VIP is true", 7, "vip: must be a string", vip=True),
    conf("intranet is a string", 7, "intranet: must be a list", intranet="10.0.0.0/8"),
    conf("intranet of numbers", 7, "intranet[0]: must be a string", intranet=[10]),
    conf("intranet of a name", 7, 'intranet[1]: "home" is not a prefix',
         intranet=["10.0.0.0/8", "home"]),
    conf("intranet has host bits", 7, "10.0.0.0/8 is meant?", intranet=["10.1.0.0/8"]),
    conf("intranet is everything", 7, "nothing is left for the tunnels", intranet=["0.0.0.0/0"]),
    conf("intranet in the subnet", 7, 'a part of "subnet"', intranet=["192.168.50.128/25"]),
    conf("intranet of 100000", 7, "100000 elements, at most 256", intranet=MANY),
    conf("MTU 70000", 7, "mtu: 70000 is not within 68 to 65535", mtu=70000),
    conf("MTU 67", 7, "mtu: 67 is not within", mtu=67),
    conf("MTU negative", 7, "mtu: -1 is not within", mtu=-1),
    conf("MTU with a fraction", 7, "mtu: must be a whole number", mtu=1.5),
    conf("MTU is a string", 7, "mtu: must be a whole number", mtu="1400"),
    conf("MTU is true", 7, "mtu: must be a whole number", mtu=True),
    conf("MTU more than the bridge's", 7, "MTU 9000 is more than the 1400 of bridge br-vpn",
         mtu=9000),
    conf("agent's namespace is relative", 7, '"byway" is not an absolute path', netns="byway"),
    conf("agent's namespace is a number", 7, "netns: must be a string", netns=7),
    conf("agent's namespace is missing", 11, "byway-node", netns="/run/netns/nowhere"),
    conf("agent's namespace is a plain file", 11, "not a network namespace", netns="/etc/hostname"),
    conf("network is unknown here", 11, "/other: No such file", network="other"),
    conf("table is missing", 11, "has made no lease table", leaseDir="/nowhere"),
    conf("tables' directory is relative", 7, "is not an absolute path", leaseDir="leases"),
    conf("tables' directory is a list", 7, "leaseDir: must be a string", leaseDir=[]),
    conf("log file is relative", 7, "logFile: \"log\" is not an absolute path", logFile="log"),
    conf("log file is a number", 7, "logFile: must be a string", logFile=1),
    conf("log level of nobody", 7, "logLevel", logLevel="loud"),
    conf("log level is a number", 7, "logLevel", logLevel=5),
    conf("ipam is a string", 7, "ipam: must be an object", ipam="host-local"),
    conf("ipam without type", 7, 'key "type" is missing', ipam={"subnet": "10.0.0.0/8"}),
    conf("ipam type is a number", 7, "ipam.type: must be a string", ipam={"type": 1}),
    conf("ipam type climbs up", 7, "is not the name of a plugin", ipam={"type": "../../bin/sh"}),
    conf("ipam type is nowhere", 7, "no-such-plugin", ipam={"type": "no-such-plugin"}),
    conf("dns is a string", 7, "dns: must be an object", dns="1.1.1.1"),
    conf("dns of numbers", 7, "dns.nameservers[0]: must be a string", dns={"nameservers": [1]}),
    conf("runtimeConfig is a list", 7, "runtimeConfig: must be an object", runtimeConfig=[]),
    conf("runtimeConfig of no addresses", 7, "runtimeConfig.ips: must be a list",
         runtimeConfig={"ips": "192.168.50.9"}),
    conf("runtimeConfig of a name", 7, "runtimeConfig.ips[0]", runtimeConfig={"ips": ["home"]}),
    conf("runtimeConfig of two addresses", 7, "an interface has one",
         runtimeConfig={"ips": ["192.168.50.7", "192.168.50.8"]}),
    conf("runtimeConfig of 100000 addresses", 7, "100000 elements",
         runtimeConfig={"ips": MANY}),
    conf("runtimeConfig outside", 7, "10.0.0.0", runtimeConfig={"ips": ["10.0.0.0/8"]}),
    conf("runtimeConfig of no MAC", 7, "runtimeConfig.mac", runtimeConfig={"mac": "zz"}),
    conf("runtimeConfig MAC is a number", 7, "runtimeConfig.mac: must be a string",
         runtimeConfig={"mac": 5}),
    conf("args of a number", 7, "args.cni: must be an object", args={"cni": 5}),
    conf("args of no MAC", 7, "args.cni.mac", args={"cni": {"mac": "x"}}),
    conf("result is a string", 7, "prevResult: must be an object", prevResult="x"),
    conf("result is a list", 7, "prevResult: must be an object", prevResult=[]),
    conf("result of version 9.9.9", 7, "prevResult.cniVersion",
         prevResult={"cniVersion": "9.9.9"}),
    conf("result's interfaces are an object", 7, "prevResult.interfaces: must be a list",
         prevResult={"interfaces": {}}),
    conf("result's interface has no name", 7, 'prevResult.interfaces[0]: key "name" is missing',
         prevResult={"interfaces": [{}]}),
    conf("result's address is none", 7, "prevResult.ips[0].address",
         prevResult={"ips": [{"address": "x"}]}),
    conf("result's address is of no interface", 7, "interface 3",
         prevResult={"ips": [{"address": "10.0.0.1/8", "interface": 3}]}),
    conf("result's address is of interface -1", 7, "prevResult.ips[0].interface",
         prevResult={"ips": [{"address": "10.0.0.1/8", "interface": -1}]}),
    conf("result's route goes nowhere", 7, 'prevResult.routes[0]: key "dst" is missing',
         prevResult={"routes": [{"gw": "10.0.0.1"}]}),
    conf("result of 100000 interfaces", 7, "100000 elements",
         prevResult={"interfaces": [{"name": "a"}] * 100000}),
    conf("CHECK without result", 7, "prevResult", verb="CHECK"),
    conf("CHECK of 0.3.1", 1, "CHECK needs cniVersion 0.4.0", verb="CHECK", cniVersion="0.3.1",
         prevResult={}),
    conf("CHECK of somebody else's result", 7, "no interface net1", verb="CHECK",
         prevResult={"interfaces": [{"name": "eth0", "sandbox": "/x"}]}),
    conf("GC of 1.0.0", 1, "GC needs cniVersion 1.1.0", verb="GC"),
]


def valid(title, words, value):
    return conf(title, 7, words, verb="GC", cniVersion="1.1.0",
                **{"cni.dev/valid-attachments": value})


COLLECTION = [
    valid("attachments are a string", "cni.dev/valid-attachments: must be a list", "all"),
    valid("attachments are an object", "must be a list", {}),
    valid("attachments are false", "must be a list", False),
    valid("attachments of strings", "attachments[0]: must be an object", ["c1/net1"]),
    valid("attachments of null", "attachments[1]: must be an object",
          [{"containerID": "a", "ifname": "b"}, None]),
    valid("attachment without container", 'key "containerID" is missing', [{"ifname": "net1"}]),
    valid("attachment without interface", 'key "ifname" is missing', [{"containerID": "c1"}]),
    valid("attachment of a number", "containerID: must be a string",
          [{"containerID": 1, "ifname": "net1"}]),
    valid("attachment of nothing", "ifname: must not be empty",
          [{"containerID": "c1", "ifname": ""}]),
    valid("attachments of 100000", "100000 elements, at most 65536", [{}] * 100000),
    conf("attachments of the old key", 7, "cni.dev/attachments: must be a list", verb="GC",
         cniVersion="1.1.0", **{"cni.dev/attachments": 1}),
    conf("one list good, the other not", 7, "cni.dev/attachments[0]", verb="GC",
         cniVersion="1.1.0", **{"cni.dev/valid-attachments": [], "cni.dev/attachments": [1]}),
]


@pytest.mark.parametrize("verb,variables,changes,content,code,words",
                         ENVIRONMENT + SYNTAX + CONFIGURATION + COLLECTION)
def test_refused(bench, verb, variables, changes, content, code, words):
    places = {"file": bench.file, "directory": bench.directory, "agent": bench.node.agent.path,
              "taken": bench.taken.path}
    variables = {key: value.format(**places) if isinstance(value, str) and "{" in value else value
                 for key, value in variables.items()}
    before = bench.state()
    if content is None:
        content = json.dumps(bench.node.conf(**changes)).encode()
    status, answer = bench.run(verb, variables, content)
    assert answer, "refused"
    assert answer["code"] == code, answer
    assert words in answer["details"], answer
    assert answer["msg"] and "\n" not in answer["details"] and len(answer["details"]) < 256
    assert status == (2 if code in INPUT_CODES else 1)
    assert bench.state() == before


def test_every_beginning_of_a_configuration_is_refused(bench):
    whole = json.dumps(bench.node.conf()).encode()
    before = bench.state()
    for n in range(len(whole)):
        status, answer = bench.run("ADD", {}, whole[:n])
        assert (status, answer["code"]) == (2, 6), whole[:n]
    assert bench.state() == before


def test_mtu_0_is_the_bridges(node):
    pod = node.pod("a")
    node.add(pod, "c1", node.conf(mtu=0))
    assert pod.links()["net1"]["mtu"] == 1400

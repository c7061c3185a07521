"""What must hold of the main job (README.md), on a real kernel with every real part.

The tests share one installation and run in this order; each leaves it whole.
"""
import contextlib
import json

import pytest

from lab import drills, plan
from lab.measure import Flows, Pings

EXITS = [exit_.name for exit_ in plan.EXIT_LIST]
PUBLIC = {exit_.public for exit_ in plan.EXIT_LIST}


def told(seen):
    """Figures whole, where pytest would shorten them."""
    return json.dumps(seen)


def assert_none_lost(seen):
    """Every one of 300 flows was heard again, by the exit it began with."""
    assert (seen["opened"], seen["lost"], seen["moved"]) == (300, 0, 0), told(seen)


# --- 1: where traffic goes -----------------------------------------------------------------------------


def test_connections_spread_over_all_exits_from_each_node(flows):
    """Each exit gets at least 15 % of each client's connections."""
    for opening in flows.opening:
        assert opening["opened"] == 150, opening
        shares = drills.by_exit(opening["per_exit"])
        assert set(shares) == set(EXITS), shares
        assert min(shares.values()) >= 0.15 * 150, shares


def test_ping_gets_through(lab):
    """ICMP has no ports to hash over, but an exit as well."""
    for client in lab.of_role("client"):
        client.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", plan.SERVER)


def test_udp_gets_through(lab):
    """Conversations by UDP are answered, by the exits."""
    with drills.Conversations(lab, 40, protocol="udp", interval=500) as flows:
        assert flows.opened()["opened"] == 40
        assert set(flows.opened()["per_exit"]) <= PUBLIC


def test_web_server_sees_an_exit(lab):
    """What a web server tells a client is an exit's public address."""
    for client in lab.of_role("client"):
        assert lab.address_of(client) in PUBLIC


def test_intranet_is_reached_on_the_primary_interface(lab):
    """The intranet's service sees the pod's own primary address."""
    for client in lab.of_role("client"):
        assert lab.address_of(client, plan.SERVICE) == client.address


def test_a_pod_without_byway_is_untouched(lab):
    """It leaves by its node, and the captures see it: the control of every "nothing leaked". """
    pod = lab.pods["plain-a"]
    before = len(lab.leaked())
    assert lab.address_of(pod) == plan.ISP_PUBLIC
    # tcpdump writes when it gets the time.
    drills.wait_for("the captures see it", lambda: len(lab.leaked()) > before, 20)
    lab.capture()   # begins anew: these packets were meant to be seen


# --- 2, 3: death of a router, of a gateway pod -----------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "term"])
def test_router_goes(lab, flows, how):
    """0 of 300 connections lost, 0 moved to another exit."""
    assert_none_lost(drills.lose_router(lab, flows, how))


def test_exits_return_to_an_agent_that_held_them(lab, flows):
    """Three elections in a row, without an agent starting anew: the third holder is the first."""
    for seen in drills.hand_back_and_forth(lab, flows, 3):
        assert_none_lost(seen)


@pytest.mark.parametrize("how", ["kill", "term"])
def test_gateway_goes(lab, flows, how):
    """0 of 300 lost, 0 moved: the same public addresses."""
    seen = drills.lose_gateway(lab, flows, how)
    assert seen["carried"]
    assert_none_lost(seen)


def test_first_handshake_goes_astray(lab, flows):
    """The answer to a new holder's first handshake is lost, as it is when the former holder's packet
    came in between: WireGuard itself asks again after 5 s, by when the exit would be down."""
    pod = drills.busiest_gateway(lab)
    other = next(p for p in lab.of_role("gateway") if p is not pod)
    carried = drills.held_by(pod)
    before = {e["name"]: e["rekeys"] for e in other.status()["exits"]}
    with contextlib.ExitStack() as stack:
        for name in carried:
            stack.enter_context(lab.providers[name].lost_handshake())
        seen = drills.lose_gateway(lab, flows, "term")
    assert_none_lost(seen)
    after = {e["name"]: e["rekeys"] for e in other.status()["exits"]}
    assert carried and all(after[name] > before[name] for name in carried), (before, after)


# --- 4, 5: death of providers ----------------------------------------------------------------------------


def test_provider_falls_silent_and_returns(lab, flows):
    """Only its flows die, each is answered, none leaves by another exit; new flows avoid it until it is
    back, and then established ones stay where they are."""
    with drills.Conversations(lab, 40, protocol="udp", interval=500) as udp:
        talking = drills.by_exit(udp.opened()["per_exit"])["se"]
        seen = drills.cut_exit(lab, flows, "se")
        assert talking and drills.by_exit(udp.check()["reset_by_exit"])["se"] == talking
        seen["udp"] = udp.reopen()
    assert seen["flows"] and seen["reset"] == seen["flows"], told(seen)
    assert (seen["others_lost"], seen["others_moved"], seen["strayed"]) == (0, 0, 0), told(seen)
    # New ports, and the ports of the flows that died.
    for opened, count in ((seen["new"], 60), (seen["again"], 300), (seen["udp"], 40)):
        assert opened["opened"] == count and not drills.by_exit(opened["per_exit"]).get("se"), told(seen)
    back = drills.return_exit(lab, flows, "se")
    assert back["moved"] == 0 and back["answered"] == back["alive"] == 300, told(back)
    assert drills.by_exit(back["new"]["per_exit"]).get("se"), told(back)


def test_all_providers_silent(lab):
    """Clients get an error at once; nothing leaks, also while routers and gateways restart."""
    seen = drills.cut_all_exits(lab)
    for refused in seen["refused"]:
        assert refused["opened"] == 0 and refused["errors"] == {"ENETUNREACH": 10}, refused
        assert refused["ms"] < 5000, refused
    assert seen["tries"] and seen["opened"] == 0, told(seen)
    assert seen["leaked"] == []


# --- 6: the beginning and the end of a pod -----------------------------------------------------------------


def test_pod_never_leaks_from_first_to_last_instruction(lab):
    """From before CNI ADD until after DEL."""
    seen = drills.boot_client(lab, lab.pods["c2"])
    assert seen["running"]
    assert seen["leaked"] == []


def test_losing_net1_does_not_open_eth0(lab):
    """A client whose interface is gone is refused."""
    client = lab.pods["c2"]
    client.run("ip", "link", "set", "net1", "down")
    try:
        seen = Flows(client, 4)
        assert seen.opened()["opened"] == 0
        seen.stop()
        assert lab.address_of(client, plan.SERVICE) == client.address
    finally:
        lab.remove_pod(client)
        lab.create_pod(client)


# --- 7: a bad configuration at run time --------------------------------------------------------------------


def test_mtu_larger_than_the_underlay_is_refused_changing_nothing(lab):
    """byway-node cannot know before it looks: still one line, exit status 2, nothing changed."""
    node = lab.nodes["node-a"]
    config = json.loads(node.path("/etc/byway/node.json").read_text())
    config["networks"][0]["mtu"] = 1451
    node.write("/tmp/mtu.json", config)
    links = node.run("ip", "link", net=node.path("/run/netns/byway"))
    refused = node.run("/byway/build/byway-node", "--config", "/tmp/mtu.json", check=False)
    assert refused.returncode == 2, refused
    assert len(refused.stderr.splitlines()) == 1 and "networks[0].mtu" in refused.stderr, refused
    assert node.run("ip", "link", net=node.path("/run/netns/byway")) == links


# --- 8: restarts of single agents ----------------------------------------------------------------------------


def restarted(lab, flows, agent):
    """Restarts one agent by itself while flows talk and clients ping; what was lost."""
    pings = [Pings(client) for client in lab.of_role("client")]
    agent.restart()
    drills.wait_for(f"{agent.namespace.name} ready again", agent.is_ready, 90, 0.2)
    flows.mark()
    seen = flows.settled()
    seen["unanswered"] = [ping.unanswered() for ping in pings]
    return seen


def test_restart_of_each_agent_loses_nothing(lab, flows):
    """Node agents, standby and active router, both gateways, one after the other: no flow is lost, and
    no packet."""
    hosts = [*lab.nodes.values(), drills.standby_router(lab), drills.active_router(lab),
             *lab.of_role("gateway")]
    for host in hosts:
        seen = restarted(lab, flows, host.agent)
        assert_none_lost(seen)
        assert seen["unanswered"] == [[], []], (host.name, seen["unanswered"])


def test_killed_agents_hand_over(lab, flows):
    """SIGKILL to the agent alone, on the active router and on the busiest gateway: the kernel ends
    keepalived with it, the peer takes over, 0 lost."""
    for pod in (drills.active_router(lab), drills.busiest_gateway(lab)):
        pod.agent.kill()
        flows.mark()
        seen = flows.settled()
        pod.agent.start()
        drills.wait_for(f"{pod.name} ready again", pod.agent.is_ready, 90, 0.2)
        assert_none_lost(seen)

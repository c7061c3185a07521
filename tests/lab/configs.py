"""The programs' configuration files, generated from plan.py."""
import os

from . import plan


EMULATED = os.environ.get("LAB_MODE") == "emulated"


def node(name):
    """byway-node's configuration on the node `name`."""
    leases = next(n for n in plan.NODES if n.name == name).leases
    return {
        "node": name,
        "nodes": [{"name": n.name, "address": n.address} for n in plan.NODES],
        "networks": [
            {"name": "vpn", "vni": 7950, "mtu": plan.MTU, "subnet": plan.SUBNET, "vip": plan.VIP,
             "leases": _ranges(leases["vpn"])},
            {"name": "sync", "vni": 7951, "mtu": plan.MTU, "subnet": plan.SYNC,
             "leases": _ranges(leases["sync"])},
        ],
    }


def _ranges(leases):
    return [{"role": role, "range": addresses} for role, addresses in leases.items()]


def _sync(group):
    return {"interface": "sync", "group": group}


def _patience():
    """An emulated processor on a busy machine pauses for longer than the adverts of 100 ms after which
    a peer counts as dead; there it is given more time."""
    return {"advert": "500ms"} if EMULATED else {}


def _network():
    return {"interface": "net1", "subnet": plan.SUBNET, "clients": plan.CLIENTS,
            "identities": plan.IDENTITIES}


def router():
    """byway-router's configuration, the same for both members."""
    return {
        "network": _network(), "vip": plan.VIP, "exits": plan.EXITS, "intranet": plan.INTRANET,
        "mtu": plan.MTU, "sync": _sync(1) | _patience(),
    } | ({"health": {"interval": "1s", "timeout": "1s", "grace": "8s"}} if EMULATED else {})


def gateway(member):
    """byway-gateway's configuration of one member of the pair."""
    return {
        "network": _network(), "vip": plan.VIP, "mtu": plan.MTU,
        "exits": [{"name": e.name, "address": e.address, "config": f"/etc/byway/exits/{e.name}.conf",
                   "prefer": e.prefer} for e in plan.EXIT_LIST],
        "member": member, "sync": _sync(2) | _patience(), "track": "eth0",
        # Round trips of an emulated machine that opens 300 connections at once take seconds.
        "probe": {"targets": [plan.SERVER], "timeout": "3s" if EMULATED else "1s"},
    }


def wg_quick(exit_, private, provider_public):
    """An exit's file as its provider would hand it out."""
    return (f"[Interface]\nPrivateKey = {private}\nAddress = {exit_.tunnel}/32\n"
            f"DNS = 10.64.{exit_.number}.1\n\n"
            f"[Peer]\nPublicKey = {provider_public}\nAllowedIPs = 0.0.0.0/0\n"
            f"Endpoint = {exit_.endpoint}:{plan.WIREGUARD_PORT}\nPersistentKeepalive = 5\n")


def cni(network, role):
    """What the CNI binary gets on standard input for a pod's interface."""
    config = {"cniVersion": "1.0.0", "name": network, "type": "byway", "role": role,
              "network": network, "subnet": plan.SUBNET if network == "vpn" else plan.SYNC}
    if role == "client":
        config |= {"vip": plan.VIP, "intranet": plan.INTRANET}
    return config

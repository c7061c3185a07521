"""make demo: the main job and its failovers, narrated, with figures measured in this run.

Writes build/demo.json. Every number in it and on the screen comes from the flows, the captures and the
agents of this run.
"""
import json
import pathlib
import sys
import time

from . import drills, plan
from .lab import Lab

OUT = pathlib.Path("/byway/build/demo.json")
FLOWS = 300


class Narrator:
    """Says what happens, with the time since the beginning."""

    def __init__(self):
        self.begun = time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.begun:6.1f} s  {text}", flush=True)


def survived(seen):
    """The figures of a failover in which nothing may be lost."""
    return {"lost": seen["lost"], "moved": seen["moved"], "blackout_ms": seen["gap_ms"]}


def failovers(lab, say, figures):
    """A router dies, a gateway pod dies, a provider dies and comes back."""
    with drills.Conversations(lab, FLOWS) as flows:
        opened = flows.opened()
        figures["flows"] = {"opened": opened["opened"],
                            "per_exit": drills.by_exit(opened["per_exit"])}
        say(f"{opened['opened']} TCP connections are open from two client pods, by exit: "
            f"{figures['flows']['per_exit']}")
        say(f"router {drills.active_router(lab).name}: SIGKILL to all of it, links cut")
        figures["router_killed"] = survived(drills.lose_router(lab, flows))
        say(f"  {figures['router_killed']}")
        gateway = drills.busiest_gateway(lab)
        say(f"gateway {gateway.name}, which carries {drills.held_by(gateway)}: the same")
        figures["gateway_killed"] = survived(drills.lose_gateway(lab, flows))
        say(f"  {figures['gateway_killed']}")
        victim = max(figures["flows"]["per_exit"], key=figures["flows"]["per_exit"].get)
        say(f"the provider behind exit {victim} falls silent")
        cut = drills.cut_exit(lab, flows, victim)
        figures["exit_cut"] = {key: cut[key] for key in
                               ("reset", "others_lost", "others_moved", "detected_ms")}
        say(f"  {figures['exit_cut']}")
        say("and answers again")
        figures["exit_back"] = {"moved": drills.return_exit(lab, flows, victim)["moved"]}
        say(f"  {figures['exit_back']}")


def leaks(lab, say, figures):
    """Nothing may leave past the tunnels, whatever is down."""
    for node, capture in lab.captures.items():
        seen = capture.prove(lab.pods[f"plain-{node[-1]}"])
        say(f"the capture on {node} is proven: it saw {seen} packets of a pod without Byway")
    say("all providers fall silent; routers and gateways are killed and replaced meanwhile")
    cut = drills.cut_all_exits(lab)
    error = "/".join(sorted({name for refused in cut["refused"] for name in refused["errors"]}))
    figures["all_exits_cut"] = {"leaked_packets": len(cut["leaked"]), "client_error": error}
    say(f"  {figures['all_exits_cut']}, {cut['tries']} further attempts, {cut['opened']} succeeded")
    say("a client pod starts with a program that sends from its first instruction, and ends")
    boot = drills.boot_client(lab, lab.pods["c1"])
    figures["boot"] = {"leaked_packets": len(boot["leaked"])}
    say(f"  {figures['boot']}")


def table(figures):
    """The figures for people."""
    rows = [("", "lost", "moved", "blackout", "")]
    for title, key in (("router killed", "router_killed"), ("gateway pod killed", "gateway_killed")):
        row = figures[key]
        rows.append((title, row["lost"], row["moved"], f"{row['blackout_ms']} ms", ""))
    cut, back = figures["exit_cut"], figures["exit_back"]
    rows.append(("provider silent", cut["others_lost"], cut["others_moved"], "",
                 f"{cut['reset']} of its own refused, detected in {cut['detected_ms']} ms"))
    rows.append(("provider back", "", back["moved"], "", ""))
    rows.append(("all providers silent", "", "", "",
                 f"{figures['all_exits_cut']['leaked_packets']} packets leaked, clients see "
                 f"{figures['all_exits_cut']['client_error']}"))
    rows.append(("client pod started", "", "", "",
                 f"{figures['boot']['leaked_packets']} packets leaked"))
    return "\n".join(f"{r[0]:<22}{r[1]!s:>6}{r[2]!s:>7}{r[3]!s:>11}  {r[4]}" for r in rows)


def main():
    """Plays it all; the exit status says whether what must hold held."""
    say, figures = Narrator(), {}
    with Lab(lambda text: say(f"lab: {text}"), save="/byway/build/lab/demo") as lab:
        lab.capture()
        failovers(lab, say, figures)
        leaks(lab, say, figures)
        lab.stop_captures()
    OUT.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\n{figures['flows']['opened']} connections, by exit {figures['flows']['per_exit']}\n")
    print(table(figures))
    print(f"\nTimes are those of this machine's clock; an emulated one stretches them. {OUT.name} has "
          "the figures.")
    bad = [figures[k][f] for k, f in (
        ("router_killed", "lost"), ("router_killed", "moved"), ("gateway_killed", "lost"),
        ("gateway_killed", "moved"), ("exit_cut", "others_lost"), ("exit_cut", "others_moved"),
        ("exit_back", "moved"), ("all_exits_cut", "leaked_packets"), ("boot", "leaked_packets"))]
    return 1 if any(bad) or figures["flows"]["opened"] < FLOWS else 0


if __name__ == "__main__":
    sys.exit(main())

"""A whole Byway installation out of network namespaces, inside the lab's machine (hack/lab).

    plan.py        one description of everything: addresses, names, who stands where
    configs.py     the programs' configuration files, written from it
    namespaces.py  a namespace and what runs in it
    internet.py    the far end: the internet, the VPN providers, the nodes' own way out, the intranet
    node.py        a node: underlay, primary CNI stand-in, node agent
    pod.py         a pod: wired by executing the real CNI binary, killed, cut off, started again
    measure.py     flows that keep talking, captures that count what leaks
    lab.py         all of it, brought up and taken down

`python3 -m lab up` brings it up to stay, `python3 -m lab shell-info` tells what is where in it.
"""
from .lab import Lab  # noqa: F401

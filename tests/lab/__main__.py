"""python3 -m lab up | down | shell-info | try"""
import sys
import time

from . import plan
from .lab import Lab
from .namespaces import STATE


def shell_info(lab):
    """What is where, for whoever sits in `hack/lab shell`."""
    print(f"""
The installation is up. `at NAME COMMAND...` runs something inside:
  nodes      {", ".join(lab.nodes)}
  pods       {", ".join(f"{p.name} ({p.role or 'no Byway'}, {p.node.name})" for p in lab.pods.values())}
  far end    inet {plan.SERVER} (HTTP 80, echo 7), intranet {plan.SERVICE}, isp,
             {", ".join(f"{p.name} behind exit {e}" for e, p in lab.providers.items())}
for instance:
  at c1 curl -s http://{plan.SERVER}/          the exit's public address
  at r1 bywayctl status                        likewise r2, g1, g2, node-a, node-b
  at r1 nft list ruleset; at g1 wg
logs: {STATE}/log. Ctrl-D ends all of it.
""")


def up():
    """Brings the installation up to stay, telling how long each part took."""
    begun = time.monotonic()
    try:
        return Lab(lambda text: print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)).up()
    except (RuntimeError, TimeoutError, OSError) as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)


def main(words):
    """The command line."""
    verb = words[0] if words else ""
    if verb == "up":
        up()
    elif verb == "down":
        Lab().adopt().down()
    elif verb == "shell-info":
        shell_info(Lab())
    else:
        sys.exit(__doc__)


main(sys.argv[1:])

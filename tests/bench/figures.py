"""Figures out of measurements, the targets they are held against, and the table of both."""
import statistics


def spread(values, digits=3):
    """Median and 90th percentile."""
    ordered = sorted(values)
    return {"median": round(statistics.median(ordered), digits),
            "p90": round(ordered[int(0.9 * (len(ordered) - 1))], digits)}


def ratio(theirs, ours):
    """How many times less ours is."""
    return round(theirs / ours, 2)


def target(what, wanted, measured, met):
    """`measured` is None where the machine could not tell; the target then is neither met nor missed."""
    return {"what": what, "wanted": wanted, "measured": measured,
            "met": None if measured is None else bool(met)}


def at_least(what, wanted, measured):
    return target(what, f"at least {wanted}", measured, measured is not None and measured >= wanted)


def at_most(what, wanted, measured):
    return target(what, f"at most {wanted}", measured, measured is not None and measured <= wanted)


def print_rows(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip())


def print_table(result, rows):
    """The part's own rows, then its targets, then what could not be measured."""
    print()
    print_rows(rows)
    print()
    verdict = {True: "met", False: "missed", None: "not measured"}
    print_rows([["target", "wanted", "measured", ""]] +
               [[t["what"], t["wanted"], "-" if t["measured"] is None else str(t["measured"]),
                 verdict[t["met"]]] for t in result["targets"]])
    for what, reason in result.get("reasons", {}).items():
        print(f"  {what}: not measured: {reason}")

"""Byway beside its alternatives, measured in one run on one machine (hack/bench, in the lab's root).

    stopwatch.c   starts programs and tells what each cost
    stopwatch.py  the same for Python
    figures.py    figures out of measurements, targets, the table
    limit.py      a limit of CPU time
    cni.py        the CNI plugin beside Debian's bridge and host-local

A part is a module with PART, a sentence, and measure(), whose answer is its figures, a dictionary, and the rows of
its table. "targets" among the figures is a list of figures.target(); what the machine cannot do is None, and
"reasons" says why.
"""

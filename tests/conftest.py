"""pytest says "ok - NAME" and "not ok - NAME", as every runner of this tree does."""


def pytest_report_teststatus(report):
    """The word printed for each test as it ends; a failed set-up or tear-down is a failure too."""
    name = report.nodeid.split("::", 1)[-1]
    if report.failed:
        where = "" if report.when == "call" else f" ({report.when})"
        return "failed", f"not ok - {name}{where}\n", "FAILED"
    if report.skipped:
        return "skipped", f"skipped - {name}: {report.longrepr[-1]}\n", "SKIPPED"
    if report.when == "call":
        return "passed", f"ok - {name}\n", "PASSED"
    return "", "", ""

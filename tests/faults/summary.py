"""The line a run ends with: how many interruptions were tried, and how many ended differently."""

TRIED, DIFFERENCES = "interruptions", "differences"
SENDS_TRIED, RECEIVED_TWICE = "interruptions of sends", "mails received twice"
ENDED_UNKNOWN = "sends ended unknown"
_COUNTED = (TRIED, DIFFERENCES, SENDS_TRIED, RECEIVED_TWICE, ENDED_UNKNOWN)


def pytest_addoption(parser) -> None:
    parser.addoption("--at", type=int, help="interrupt a flow at the call of this number alone")


def pytest_terminal_summary(terminalreporter) -> None:
    totals = dict.fromkeys(_COUNTED, 0)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name in totals:
                        totals[name] += value
    if totals[TRIED]:
        terminalreporter.write_line(
            f"faults: {totals[TRIED]} interruptions tried, {totals[DIFFERENCES]} differences"
        )
    if totals[SENDS_TRIED]:
        terminalreporter.write_line(
            f"sends: {totals[SENDS_TRIED]} interruptions tried,"
            f" {totals[RECEIVED_TWICE]} mails received twice,"
            f" {totals[ENDED_UNKNOWN]} ended unknown"
        )

"""Work out what a mailbox and an import cost: `poe cost` writes the tables of infra/costs.md.

From what was measured (infra/costs.measured.json: `poe bench consumption --write` counts it anew)
and, in infra/costs.json, what is assumed and what AWS asks, each with where it is from. Prices are
those of us-east-1, in dollars, without the free tier.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.paths import REPOSITORY

KNOWN = REPOSITORY / "infra" / "costs.json"
MEASURED = REPOSITORY / "infra" / "costs.measured.json"
PAGE = REPOSITORY / "infra" / "costs.md"
README = REPOSITORY / "README.md"
BEGIN = "<!-- written by `uv run poe cost` -->"
END = "<!-- end of what is written -->"
HOURS = 730
"""In a month, as AWS counts it."""
MINUTES = HOURS * 60
BATCH = 50
"""Polls in a full batch of `sync_mailbox`: tests/infra/test_costs.py holds it to the template."""
POLLED = (1, 5, 15)
AIM_MONTH, AIM_MILLION = 0.01, 5
_PRICES = (
    "Prices of us-east-1, without the free tier. None could be checked at AWS's own pages on the\n"
    "day of writing: each is from where it says, or from memory where it says that:"
)
STORES = {"a secret each": "idle poll, a secret each", "sealed": "idle poll, sealed"}

Consumed = Mapping[str, float]
Parts = dict[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """What is known, and what follows from it."""

    measured: Mapping[str, Any]
    assumed: Mapping[str, list[Any]]
    prices: Mapping[str, list[Any]]
    hosted: list[list[str]]

    def given(self, name: str) -> float:
        """Return an assumption."""
        return float(self.assumed[name][0])

    def dollars(self, name: str, number: float) -> float:
        """Return what so many cost."""
        price, per = self.prices[name][:2]
        return number * float(price) / float(per)

    def of(self, consumed: Consumed) -> Parts:
        """Return what a measured piece of work costs, by what it is paid for."""
        units = {"write_units": "write_unit", "read_units": "read_unit"}
        other = {"queue_requests": "queue_request", "s3_puts": "s3_put"}
        asked = {"secret_requests": "secret_request", "key_requests": "kms_request"}
        names = {"table": units, "queues and objects": other, "logins": asked}
        parts = {
            what: sum(self.dollars(one, consumed.get(name, 0)) for name, one in of.items())
            for what, of in names.items()
        }
        return {**parts, "logs": self.dollars("log_gb", consumed.get("log_bytes", 0) / 1e9)}

    def poll(self, store: str) -> Parts:
        """Return what one poll that finds nothing costs, its part of the tick included."""
        figures = self.measured["figures"]
        share = self.given("batch_seconds") * self.given("memory_gb") / BATCH
        compute = self.dollars("gb_second", share) + self.dollars("invocation", 1 / BATCH)
        queue = self.dollars("queue_request", self.given("queue_requests_a_poll"))
        tick = self.of(figures["tick, each mailbox it finds"])
        idle = self.of(figures[STORES[store]])
        return _sum([idle, tick, {"functions": compute, "queues and objects": queue}])

    def login(self, store: str) -> float:
        """Return what it costs to keep a login for a month and to renew its token."""
        renewals = self.given("renewals_a_month")
        if store == "sealed":
            written = self.dollars("write_unit", renewals * self.given("renewal_write_units"))
            unwrapped = HOURS * self.given("warm_processes") / self.given("mailboxes_of_a_tenant")
            return written + self.dollars("kms_request", unwrapped)
        asked = renewals * self.given("renewal_secret_requests")
        return self.dollars("secret", 1) + self.dollars("secret_request", asked)

    def month(self, store: str, every_minutes: float) -> Parts:
        """Return what polling a mailbox costs in a month, and keeping its login."""
        parts = _times(self.poll(store), MINUTES / every_minutes)
        return _sum([parts, {"logins": self.login(store)}])

    def news(self) -> Parts:
        """Return what a month's new messages cost."""
        run = self.of(self.measured["figures"]["run that brings one message"])
        objects = self.measured["figures"]["imported message"]["s3_puts"]
        put = {"queues and objects": self.dollars("s3_put", objects)}
        return _times(_sum([run, put]), self.given("messages_a_day") * HOURS / 24)

    def notified(self) -> float:
        """Return what a month's words of a provider cost, and the invocations they ask for."""
        number = self.given("messages_a_day") * HOURS / 24 * self.given("words_a_message")
        return number * self._word()

    def reauthorized(self, store: str) -> float:
        """Return what it costs that Graph asks in a month to be shown that we may still read."""
        poll = self.of(self.measured["figures"][STORES[store]])
        written = self.dollars("write_unit", self.given("reauthorization_write_units"))
        once = self._word() + sum(poll.values()) + written
        return self.given("reauthorizations_a_month") * once

    def _word(self) -> float:
        word = self.of(self.measured["figures"]["a provider's word that asks for a run"])
        seconds = self.given("word_gb_seconds") + self.given("pushed_run_gb_seconds")
        received = self.given("queue_requests_a_poll")
        asked = {"api_request": 1.0, "invocation": 1.1, "gb_second": seconds}
        asked["queue_request"] = received
        dollars = sum(self.dollars(name, times) for name, times in asked.items())
        return sum(word.values()) + dollars

    def imported(self) -> Parts:
        """Return what a million imported messages cost, once."""
        parts = self.of(self.measured["figures"]["imported message"])
        seconds = self.given("import_ms_a_message") / 1_000
        return _times(_sum([parts, {"functions": self.dollars("gb_second", seconds)}]), 1e6)

    def alone(self) -> Parts:
        """Return what a deployment costs in a month that has no mailbox."""
        tick = _times(self.of(self.measured["figures"]["tick that finds nobody"]), MINUTES)
        asked = self.given("pollers") * HOURS * 3_600 / 20
        return {
            "alarms": self.dollars("alarm", self.given("alarms")),
            "custom metrics": self.dollars("custom_metric", self.given("custom_metrics")),
            "dashboard and rules": self.dollars("dashboard", 1)
            + self.dollars("insight_rule", self.given("insight_rules")),
            "queues asked for work": self.dollars("queue_request", asked),
            "the schedules' ticks": sum(tick.values())
            + self.dollars("gb_second", MINUTES * self.given("tick_gb_seconds")),
            "the key of KMS, where logins are sealed": self.dollars("kms_key", 1),
        }


def load() -> Model:
    """Read the figures."""
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    return Model(measured=json.loads(MEASURED.read_text(encoding="utf-8")), **known)


def tables(model: Model) -> str:
    """Return what stands between the marks of infra/costs.md."""
    five = {store: model.month(store, 5) for store in STORES}
    parts = list(_sum([*five.values(), model.news()]))
    news = model.news()
    imported = model.imported()
    stored = model.dollars("table_gb", model.given("kilobytes_a_message"))
    alone = model.alone()
    return "\n\n".join(
        [
            "A mailbox for a month, in dollars:",
            summary(model),
            "Of which, polled every 5 minutes:",
            _table(
                ["for", *STORES, "new messages"],
                [
                    [part, *(_cents(month.get(part, 0)) for month in five.values()),
                     _cents(news.get(part, 0))]
                    for part in parts
                ],
            ),
            "A million messages imported: "
            + ", ".join(f"{part} {value:.2f}" for part, value in imported.items() if value)
            + f"; together **{sum(imported.values()):.2f}** once, and {stored:.2f} a month at the"
            " most to keep text and HTML (all of it in the table).",
            _aims(sum(five["sealed"].values()), sum(imported.values())),
            "A deployment for a month without a mailbox, whatever the fleet:",
            _table(["for", "dollars"], [[part, f"{value:.2f}"] for part, value in alone.items()]),
            f"Counted on {model.measured['on']} (`uv run poe bench consumption`), for one each:",
            _table(
                ["work", "write units", "read units", "requests for logins", "bytes of logs"],
                [
                    [what, *(f"{one.get(name, 0):g}" for name in
                     ("write_units", "read_units", "secret_requests", "log_bytes"))]
                    for what, one in model.measured["figures"].items()
                ],
            ),
            "Assumed, and worth replacing by your own:",
            _table(
                ["what", "value", ""],
                [[name.replace("_", " "), f"{value:g}", why]
                 for name, (value, why) in model.assumed.items()],
            ),
            _PRICES,
            _table(
                ["dollars", "for", "source", "of"],
                [[f"{price:g}" + (f" / {per:,}" if per > 1 else ""), what, source, on]
                 for price, per, what, source, on in model.prices.values()],
            ),
            "What others ask for a connected account, or for the right to run it:",
            _table(["who", "price", "source", "of"], model.hosted),
        ]
    )  # fmt: skip


def summary(model: Model) -> str:
    """Return the table that is also in the README: a mailbox-month, both stores, by cadence."""
    news = sum(model.news().values())
    rows = [
        [f"every {minutes} min", *(_cents(sum(model.month(store, minutes).values()) + more)
         for more in (0, news) for store in STORES)]
        for minutes in POLLED
    ]  # fmt: skip
    slow = model.given("push_minutes")
    for provider, asks in (("Gmail", False), ("Outlook", True)):
        rows.append(
            [f"push by {provider}, and every {slow:g} min",
             *(_cents(sum(model.month(store, slow).values()) + more
                      + (model.reauthorized(store) if asks else 0))
               for more in (0, news + model.notified()) for store in STORES)]
        )  # fmt: skip
    per_day = model.given("messages_a_day")
    head = ["polled", *(f"{what}, {store}" for what in ("idle", f"{per_day:g} messages a day")
                        for store in STORES)]  # fmt: skip
    return _table(head, rows)


def written(page: str, text: str) -> str:
    """Return a page with `text` between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _aims(month: float, million: float) -> str:
    return (
        f"Aims of this project: {AIM_MONTH} a mailbox-month polled every 5 minutes, idle and sealed"
        f" ({_held(month, AIM_MONTH)}), and {AIM_MILLION} a million messages"
        f" ({_held(million, AIM_MILLION)})."
    )


def _held(value: float, aim: float) -> str:
    return "held" if value <= aim else f"missed: {value / aim:.1f} times as much"


def _sum(many: Iterable[Consumed]) -> Parts:
    together: Parts = {}
    for parts in many:
        for name, value in parts.items():
            together[name] = together.get(name, 0) + value
    return together


def _times(parts: Consumed, number: float) -> Parts:
    return {name: value * number for name, value in parts.items()}


def _cents(value: float) -> str:
    return f"{value:.4f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def main() -> None:
    """Write the tables, and print them."""
    model = load()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), tables(model)), encoding="utf-8")
    README.write_text(written(README.read_text(encoding="utf-8"), summary(model)), encoding="utf-8")
    print(tables(model))


if __name__ == "__main__":
    main()

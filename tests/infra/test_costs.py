"""What the pages say of costs is what follows from the figures, and the figures are of this template."""

import pytest

from infra.lint_rules import of_type
from infra.local.expand import load as load_template
from infra.tasks.cost import (
    BATCH,
    BEGIN,
    END,
    PAGE,
    README,
    STORES,
    Model,
    load,
    summary,
    tables,
    written,
)
from tests.infra.template_text import ROOT, translated

NOTHING = {"write_units": 0, "read_units": 0}


def model(**changes):
    """A world of round numbers: everything costs a dollar, and nothing is consumed."""
    known = load()
    prices = {name: [1, 1, "", "", ""] for name in known.prices}
    assumed = {name: [0, ""] for name in known.assumed} | {"mailboxes_of_a_tenant": [1, ""]}
    figures = dict.fromkeys(known.measured["figures"], NOTHING)
    return Model(
        {"on": "", "figures": figures | changes.pop("figures", {})},
        assumed | {name: [value, ""] for name, value in changes.items()},
        prices,
        [],
    )


@pytest.mark.parametrize(("page", "made"), [(PAGE, tables), (README, summary)])
def test_a_page_says_what_follows_from_the_figures(page, made):
    text = page.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert written(text, made(load())) == text, "uv run poe cost"


def test_the_figures_are_of_this_template():
    resources = translated()["Resources"]
    memory = resources["SyncMailboxFunction"]["Properties"]["MemorySize"]
    assert load().given("memory_gb") == memory / 1024
    sources = of_type(translated(), "AWS::Lambda::EventSourceMapping")
    (batch,) = [one["BatchSize"] for name, one in sources if name.startswith("SyncMailbox")]
    assert batch == BATCH
    alarms = of_type(load_template(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm")
    # One of metric math is billed by the metrics it reads.
    read = [sum("MetricStat" in one for one in alarm.get("Metrics", [])) for _, alarm in alarms]
    assert load().given("alarms") == sum(number or 1 for number in read)
    rules = of_type(load_template(ROOT / "infra" / "queries.yaml"), "AWS::CloudWatch::InsightRule")
    assert load().given("insight_rules") == len(list(rules))


def test_every_price_has_a_source_and_every_assumption_is_used_in_a_sentence():
    known = load()
    assert all(source for *_, source, _ in known.prices.values())
    assert all(price > 0 for price, *_ in known.prices.values())
    used = (PAGE.parent / "tasks" / "cost.py").read_text(encoding="utf-8")
    assert [name for name in [*known.prices, *known.assumed] if f'"{name}"' not in used] == []


def test_a_month_of_polls_is_as_many_polls_as_fit_into_it():
    idle = {name: {"write_units": 1, "read_units": 2} for name in STORES.values()}
    for every, polls in ((1, 43_800), (5, 8_760)):
        month = model(figures=idle).month("sealed", every)
        # Each is invoked in a fiftieth of a batch.
        assert month["table"] == pytest.approx(3 * polls)
        assert month["functions"] == pytest.approx(polls / 50)


def test_a_batch_is_paid_by_its_polls_together():
    poll = model(batch_seconds=10, memory_gb=2).poll("sealed")
    assert poll["functions"] == pytest.approx((10 * 2 + 1) / 50)


def test_what_a_login_costs_is_a_secret_or_writes_and_a_part_of_the_unwrapping():
    made = model(
        renewals_a_month=100,
        renewal_write_units=4,
        renewal_secret_requests=2,
        warm_processes=10,
        mailboxes_of_a_tenant=5,
    )
    assert made.login("a secret each") == 1 + 200
    assert made.login("sealed") == 400 + 730 * 10 / 5


def test_a_million_imported_messages_cost_a_million_times_one():
    one = {"imported message": {"write_units": 8, "read_units": 1, "s3_puts": 0.5}}
    made = model(figures=one, import_ms_a_message=500).imported()
    assert (made["table"], made["queues and objects"], made["functions"]) == (9e6, 5e5, 5e5)


def test_a_secret_each_costs_more_than_all_the_rest_and_sealing_does_not():
    # What the advice of the page rests on.
    known = load()
    kept, sealed = (sum(known.month(store, 5).values()) for store in STORES)
    assert kept > 2 * (sealed + sum(known.news().values()))


def test_what_graph_asks_again_is_a_word_a_poll_and_what_is_written():
    asked = {"reauthorizations_a_month": 3, "reauthorization_write_units": 2}
    one = model(figures={STORES["sealed"]: NOTHING | {"write_units": 1}}, **asked)
    # A request, an invocation and its share of another; a poll; and two units.
    assert one.reauthorized("sealed") == pytest.approx(3 * (1 + 1.1 + 1 + 2))

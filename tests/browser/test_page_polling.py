"""live.js: how often the page asks, by a clock of ours."""

import pytest

MINUTE = 60_000
# Of what `load` meets, the last stays; `pause` is what the answer says.
BEGIN = """
  Math.random = () => 0.5;
  globalThis.log = [];
  globalThis.meets = given;
  globalThis.isHidden ??= false;
  Object.defineProperty(document, "hidden", { get: () => isHidden });
  globalThis.see = (seen) => { isHidden = !seen; document.dispatchEvent(new Event("visibilitychange")); };
  globalThis.watched = watch(async () => {
    log.push("asked");
    const met = meets.length > 1 ? meets.shift() : meets[0];
    if (met.wait) await new Promise((done) => globalThis.answer = done);
    if (met.fails) throw Object.assign(new Error("refused"), met.fails);
    return met;
  }, {
    show: (met) => log.push(`shown ${met.pause}`),
    failed: (error) => log.push(error.message),
    pause: (met) => met.pause,
  });
"""


@pytest.fixture
def polling(modules):
    modules.page.clock.install(time=0)
    modules.page.clock.pause_at(MINUTE)

    def begin(*meets):
        modules.run(BEGIN, meets)

    modules.begin = begin
    modules.log = lambda: modules.run("return log.splice(0)")
    modules.after = modules.page.clock.run_for
    return modules


def test_the_answer_says_how_long_to_wait(polling):
    polling.begin({"pause": 1000}, {"pause": 5000}, {"pause": None})
    assert polling.log() == ["asked", "shown 1000"]
    polling.after(999)
    assert polling.log() == []
    polling.after(1)
    assert polling.log() == ["asked", "shown 5000"]
    polling.after(5000)
    assert polling.log() == ["asked", "shown null"]
    polling.after(60 * MINUTE)
    assert polling.log() == []


def test_after_each_failure_it_waits_twice_as_long_and_five_minutes_at_most(polling):
    polling.begin({"fails": {}})
    waits = []
    for _ in range(9):
        assert polling.log() == ["asked", "refused"]
        waited = 0
        while not polling.run("return log.length"):
            polling.after(1000)
            waited += 1
        waits.append(waited)
    assert waits == [4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_an_answer_ends_the_waiting_of_failures(polling):
    polling.begin(*[{"fails": {}}] * 4, {"pause": 1000}, {"fails": {}})
    polling.after(61_000)
    assert polling.log()[-4:] == ["asked", "shown 1000", "asked", "refused"]
    polling.after(4000)
    assert polling.log() == ["asked", "refused"]


def test_it_waits_as_long_as_it_is_asked_to(polling):
    polling.begin({"fails": {"retryAfter": 90}})
    polling.after(89_999)
    assert polling.log() == ["asked", "refused"]
    polling.after(1)
    assert polling.log() == ["asked", "refused"]


def test_while_nobody_looks_nothing_is_asked_and_then_at_once(polling):
    polling.begin({"pause": 1000})
    polling.log()
    polling.run("see(false)")
    polling.after(60 * MINUTE)
    assert polling.log() == []
    polling.run("see(true)")
    assert polling.log() == ["asked", "shown 1000"]
    polling.after(1000)
    assert polling.log() == ["asked", "shown 1000"]


def test_begun_unseen_it_asks_when_it_is_seen(polling):
    polling.page.evaluate("globalThis.isHidden = true")
    polling.begin({"pause": 1000})
    polling.after(60 * MINUTE)
    assert polling.log() == []
    polling.run("see(true)")
    assert polling.log() == ["asked", "shown 1000"]


def test_asked_for_again_while_it_asks_it_asks_once_more(polling):
    polling.begin({"pause": 5000, "wait": True}, {"pause": None})
    polling.run("watched.again(); watched.again(); answer()")
    assert polling.log() == ["asked", "shown 5000", "asked", "shown null"]
    polling.after(60 * MINUTE)
    assert polling.log() == []


def test_asked_for_again_it_asks_at_once_and_then_as_usual(polling):
    polling.begin({"pause": 5000})
    polling.log()
    polling.after(4000)
    polling.run("watched.again()")
    assert polling.log() == ["asked", "shown 5000"]
    polling.after(4999)
    assert polling.log() == []
    polling.after(1)
    assert polling.log() == ["asked", "shown 5000"]


@pytest.mark.parametrize("met", [{"pause": 1000}, {"fails": {}}], ids=["answer", "failure"])
def test_stopped_it_shows_nothing_and_asks_no_more(polling, met):
    polling.begin(met | {"wait": True})
    polling.run("watched.stop(); answer()")
    polling.run("see(false); see(true); watched.again()")
    polling.after(60 * MINUTE)
    assert polling.log() == ["asked"]


def test_seen_again_before_it_is_due_nothing_is_asked(polling):
    polling.begin({"pause": 5000}, {"pause": None})
    polling.log()
    for _ in range(3):
        polling.after(1000)
        polling.run("see(false); see(true)")
    assert polling.log() == []
    polling.after(2000)
    assert polling.log() == ["asked", "shown null"]
    polling.run("see(false); see(true)")
    polling.after(60 * MINUTE)
    assert polling.log() == []

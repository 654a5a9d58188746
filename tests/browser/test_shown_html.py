"""Mail that tries to run or to load something, shown in a real browser as infra/api.md says to.

Each vector is shown in four ways: as documented; sanitised but in a frame that permits all; raw in
the documented frame; and raw in a frame that permits all, which shows that the vectors bite and
that this test would notice. Each asks for a host of its own, so that the browser's requests tell
which one did it, and how it was shown.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from shared.mime.sanitise import NOTHING_LOADS, Sanitised, sanitise
from tests.browser.chromium import Browser
from tests.unit.mime.xss import FOLDED, VECTORS

ALL = [*VECTORS, *FOLDED]
PAGE_OF_THE_API = Path(__file__).parents[2] / "infra" / "api.md"
WAYS = ("documented", "sanitised", "framed", "raw", "pictured")
LOGO = "http://objects.test/logo.png?signed=1&for=5"
SECONDS = 120
PER_MESSAGE = 20
ONE_IN = 5
"""Of the raw ones so many are shown, each in a frame of its own: they would swallow one another."""

HARNESS = """<!doctype html><meta charset=utf-8><title>mail</title><link rel=icon href=data:,><body><script>
%s
const AT_ONCE = 50;
const EVENTS = ["click", "dblclick", "mouseover", "mouseenter", "mousemove", "mousedown", "focus", "blur", "keydown",
  "pointerover", "contextmenu", "wheel", "scroll", "toggle", "submit", "input", "change", "animationstart"];
const settled = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
function provoke(frame) {
  let all = [];
  try { all = [...frame.contentDocument.querySelectorAll("*")]; } catch { return; }
  for (const one of all) try {
    for (const name of EVENTS.slice(1)) one.dispatchEvent(new MouseEvent(name, {bubbles: true}));
    one.focus();
    if (!/^(https?|mailto|tel):/.test(one.protocol ?? "")) one.click();
  } catch {}
}
async function main() {
  const cases = await (await fetch("/cases")).json();
  let open = 0;
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    const frames = cases.slice(at, at + AT_ONCE).map(({bare, message}) => {
      const frame = document.createElement("iframe");
      if (bare) frame.srcdoc = message.html; else show(frame, message);
      const loaded = new Promise((done) => frame.addEventListener("load", done, {once: true}));
      document.body.append(frame);
      return {bare, frame, loaded};
    });
    await Promise.race([Promise.all(frames.map(({loaded}) => loaded)), settled(6000)]);
    for (const {bare, frame} of frames) if (bare) provoke(frame); else open += frame.contentDocument !== null;
    await settled(300);
    for (const {frame} of frames) frame.remove();
  }
  await settled(1000);
  await fetch("/done", {method: "POST", body: JSON.stringify({shown: cases.length, open})});
}
main();
</script>"""


def aimed(number: int, way: str, vector: str) -> str:
    """The vector, asking for its own host; what runs goes elsewhere, which no policy forbids."""
    run = rf"location=/http:\/\/ran-{number}.{way}.test/.source"
    return vector.replace("alert(1)", run).replace("evil.example", f"load-{number}.{way}.test")


def message(safe: Sanitised) -> dict[str, str]:
    """What the API answers of it."""
    return {"html": safe.html, "content_security_policy": safe.content_security_policy}


def case(number: int, way: str, vector: str) -> dict[str, object]:
    html = aimed(number, way, vector)
    bare = way in {"sanitised", "raw"}
    if way in {"documented", "sanitised", "pictured"}:
        shown = message(sanitise(html, remote_images=way == "pictured"))
    else:
        shown = {"html": html, "content_security_policy": NOTHING_LOADS}
    if bare:
        # What is relative to the page leads to the vector's host as well.
        shown["html"] = f"<base href=http://load-{number}.{way}.test/>" + shown["html"]
    return {"bare": bare, "message": shown}


def together(cases):
    """What is sanitised can follow one another in one message: each piece is whole."""
    for at in range(0, len(cases), PER_MESSAGE):
        some = cases[at : at + PER_MESSAGE]
        html = "".join(one["message"]["html"] for one in some)
        yield {**some[0], "message": {**some[0]["message"], "html": html}}


def documented_function() -> str:
    """The function by which a front end shows a message."""
    (found,) = re.findall(r"```js\n(function show\(.*?)```", PAGE_OF_THE_API.read_text(), re.DOTALL)
    return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Show all of it in one start of the browser; what it asked for, and what the page found."""
    cases = []
    for way in WAYS:
        of_way = [case(number, way, one) for number, one in enumerate(ALL)]
        cases += of_way[::ONE_IN] if way in {"framed", "raw"} else together(of_way)
    logo = sanitise('<img src="cid:logo%40x">', inline={"logo@x": LOGO}.get)
    cases.append({"bare": False, "message": message(logo)})
    pages = {
        "/": ("text/html", HARNESS % documented_function()),
        "/cases": ("application/json", json.dumps(cases)),
    }
    browser = Browser(pages)
    found = json.loads(browser.show("/", tmp_path_factory.mktemp("profile"), SECONDS))
    assert found["shown"] == len(cases)
    return browser.requests, found


def asked(requests: list[str]) -> dict[str, dict[str, set[int]]]:
    """Which vectors ran, and which loaded something, by the way they were shown."""
    found: dict[str, dict[str, set[int]]] = defaultdict(lambda: {"ran": set(), "load": set()})
    for url in requests:
        if match := re.match(r"https?://(ran|load)-(\d+)\.(\w+)\.test\b", url):
            found[match[3]][match[1]].add(int(match[2]))
    return found


def test_raw_in_a_frame_that_permits_all_the_vectors_bite(shown):
    bites = asked(shown[0])["raw"]
    # Some 45 and 115; how many reach us before their frame goes depends on the machine.
    assert len(bites["ran"]) > 15
    assert len(bites["load"]) > 50


def test_as_documented_nothing_runs_and_nothing_is_asked_for(shown):
    requests, found = shown
    others = [
        url for url in requests if not re.search(r"\.(sanitised|framed|raw|pictured)\.test", url)
    ]
    assert others == [LOGO]
    assert found["open"] == 0


def test_sanitised_nothing_runs_or_loads_even_in_a_frame_that_permits_all(shown):
    assert "sanitised" not in asked(shown[0])


def test_in_the_documented_frame_even_what_is_raw_runs_and_loads_nothing(shown):
    assert "framed" not in asked(shown[0])


def test_with_remote_pictures_asked_for_only_pictures_are_loaded(shown):
    loaded = asked(shown[0])["pictured"]
    assert not loaded["ran"]
    assert loaded["load"]
    for number in loaded["load"]:
        clean = sanitise(aimed(number, "pictured", ALL[number]), remote_images=True).html
        assert re.search(rf'<img[^>]* src="[^"]*load-{number}\.', clean), ALL[number]

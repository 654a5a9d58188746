"""What fails a visit fails it: a page that does each of it is noticed, and one that does not is not."""

import contextlib

import pytest

from tests.browser.page import visiting

HERE = "http://localhost:9"
"""Nobody listens there: what is asked of it is answered by the test."""
POLICY = "default-src 'none'; img-src data:; script-src 'self' 'unsafe-inline'; connect-src 'self' http://elsewhere.test http://localhost:8; require-trusted-types-for 'script'"
SOUND = """<!doctype html><html lang="en"><title>Sample</title><link rel="icon" href="data:,">
<main><h1>Sample</h1><label>Name <input></label></main>"""


@contextlib.contextmanager
def shown(browser, page, *, policy=POLICY):
    """A visit to this page."""
    headers = {"content-type": "text/html", "content-security-policy": policy}
    with visiting(browser, [HERE]) as one:
        one.page.context.route(f"{HERE}/", lambda it: it.fulfill(headers=headers, body=page))
        one.page.context.route(f"{HERE}/refused", lambda it: it.fulfill(status=409, json={}))
        one.page.goto(f"{HERE}/", wait_until="networkidle")
        yield one


def script(text):
    return f"{SOUND}<script>{text}</script>"


def test_a_page_that_does_nothing_wrong_passes(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.browser.page.SCREENSHOTS", tmp_path)
    with shown(browser, SOUND) as one:
        one.keep("sample")
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(kept) == {"sample-light.png", "sample-dark.png", "sample-phone.png"}
    # Width and height of a PNG.
    sizes = {name[7:-4]: kept[name][16:24].hex(" ", 4) for name in kept}
    assert sizes == {
        "light": "00000500 00000320",
        "dark": "00000500 00000320",
        "phone": "00000186 0000034c",
    }


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (script("console.error('oh')"), "console error: oh"),
        (script("console.warn('hm')"), "console warning: hm"),
        (script("throw new Error('broken')"), "raised: broken"),
        (script("Promise.reject(new Error('late'))"), "raised: late"),
        (script("fetch('/refused')"), f"409 GET {HERE}/refused"),
        (script("fetch('http://elsewhere.test/x').catch(() => 0)"), "asked elsewhere: GET http"),
        (script("fetch('http://localhost:8/x').catch(() => 0)"), "failed: GET http://localhost:8"),
        (SOUND + "<p style='color: red'>", "policy: style-src-attr stopped inline"),
        (SOUND + "<img alt='' src='http://elsewhere.test/x'>", "policy: img-src stopped http"),
        (script("document.body.innerHTML = '<p>'"), "policy: require-trusted-types-for stopped"),
    ],
)  # fmt: skip
def test_what_a_page_should_not_do_is_told(browser, page, told):
    with pytest.raises(AssertionError) as failed, shown(browser, page):
        pass
    assert told in str(failed.value)


def test_what_a_pop_up_does_is_told_too(browser):
    with pytest.raises(AssertionError, match="raised: in a pop-up"), shown(browser, SOUND) as one:
        with one.page.expect_popup() as opened:
            one.page.evaluate("() => void open('/')")
        opened.value.evaluate("() => void setTimeout(() => { throw 'in a pop-up' })")


def test_what_is_expected_passes_and_has_to_come(browser):
    with shown(browser, script("fetch('/refused')")) as one:
        one.expects("409 GET .*/refused")
    with pytest.raises(AssertionError, match="never came: 409 GET"), shown(browser, SOUND) as one:
        one.expects("409 GET .*/refused")


def test_what_is_not_accessible_is_told_with_where_it_is(browser):
    nameless = SOUND.replace("<label>Name <input></label>", "<input id=nameless>")
    told = r'label \(critical\)[^$]*<input id="nameless">'
    with shown(browser, nameless) as one, pytest.raises(AssertionError, match=told):
        one.axe()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_look_is_tried(browser, scheme, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.browser.page.SCREENSHOTS", tmp_path)
    pale = f"<style>@media (prefers-color-scheme: {scheme}) {{ p {{ color: #777; background: #888 }} }}</style>"
    page = SOUND.replace("</main>", "<p>Pale</p></main>").replace("<main>", pale + "<main>")
    policy = POLICY + "; style-src 'unsafe-inline'"
    told = pytest.raises(AssertionError, match="color-contrast")
    with shown(browser, page, policy=policy) as one, told:
        one.keep("pale")


def test_what_is_too_wide_is_told(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.browser.page.SCREENSHOTS", tmp_path)
    page = SOUND.replace("</main>", f"<p>{'long' * 100}</p></main>")
    told = pytest.raises(AssertionError, match="pixels too wide for light")
    with shown(browser, page) as one, told:
        one.keep("wide")

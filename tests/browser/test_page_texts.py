"""texts.js: words with values in them, and figures and times as people write them."""

import pytest

NOW = "2026-03-10T12:00:00Z"
DAY = 24 * 3600


def test_values_stand_in_their_places_as_they_are(modules):
    hostile = "{title} $& <b>"
    assert (
        modules.run("return texts.t('app.title', { title: given })", hostile)
        == f"{hostile} · Mailroom"
    )


def test_a_number_is_written_as_the_language_does(modules):
    assert modules.run("return texts.t('app.title', { title: 12345 })") == "12,345 · Mailroom"


def test_a_value_that_is_not_there_leaves_nothing(modules):
    assert modules.run("return texts.t('app.title')") == " · Mailroom"


@pytest.mark.parametrize(
    "key", ["app.nothing", "nothing", "nothing.nothing", "app", "toString", "app.title.length"]
)
def test_a_text_that_is_not_there_is_a_fault_of_ours(modules, key):
    assert "no text" in modules.run(
        "try { return texts.t(given) } catch (error) { return error.message }", key
    )
    assert not modules.run("return texts.hasText(given)", key)


@pytest.mark.parametrize("word", ["constructor", "__proto__", "failed.length", "to_string"])
def test_a_word_that_has_no_text_is_shown_as_it_is(modules, word):
    shown = modules.run("return texts.wordOf('thread.delivery', given)", word)
    assert shown == word.replace("_", " ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-44, "just now"),
        (45, "in 1 minute"),
        (-90, "1 minute ago"),
        (-40 * 60, "40 minutes ago"),
        (-50 * 60, "1 hour ago"),
        (5 * 3600, "in 5 hours"),
        (-20 * 3600, "yesterday"),
        (-6 * DAY, "6 days ago"),
        (-8 * DAY, "2 Mar 2026"),
    ],
)
def test_an_instant_is_told_as_people_do(modules, seconds, text):
    body = "const now = Date.parse(given[0]); return texts.formatRelative(new Date(now + given[1] * 1000).toISOString(), now)"
    assert modules.run(body, [NOW, seconds]) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 second"),
        (59, "59 seconds"),
        (240, "4 minutes"),
        (5400, "2 hours"),
        (3 * DAY, "3 days"),
    ],
)
def test_a_length_of_time_is_in_its_largest_unit(modules, seconds, text):
    assert modules.run("return texts.formatDuration(given)", seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1400, "1.4 kB"),
        (25_000_000, "25 MB"),
        (2_300_000_000, "2.3 GB"),
    ],
)
def test_a_size_is_in_its_largest_unit(modules, size, text):
    assert modules.run("return texts.formatBytes(given)", size) == text

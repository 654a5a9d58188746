"""A user's signature through the handlers, on in-memory stores."""

import pytest

SIGNATURE = "/v1/signature"
NONE = {"text": "", "html": None}


def put(app, **body):
    return app.ask("PUT", SIGNATURE, body=body)


def test_it_is_the_callers_own_alone(app):
    assert app.ask("GET", SIGNATURE).json == NONE
    kept = put(app, text="Ann\nACME", html="<b onclick=x>Ann</b><script>x</script>")
    assert kept.json == {"text": "Ann\nACME", "html": "<b>Ann</b>"}
    assert app.ask("GET", SIGNATURE).json == kept.json
    for who in ({"user": "bob"}, {"user": "bob", "roles": "admin"}, {"tenant": "other"}):
        assert app.ask("GET", SIGNATURE, **who).json == NONE
        assert app.ask("DELETE", SIGNATURE, **who).status == 204
    assert app.ask("GET", SIGNATURE).json == kept.json
    assert app.ask("DELETE", SIGNATURE).status == 204
    assert app.ask("GET", SIGNATURE).json == NONE


def test_of_html_alone_a_text_is_made(app):
    assert put(app, html="<p>Ann</p><p>ACME</p>").json["text"] == "Ann\n\nACME"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": "x" * 2_001}, "text"),
        ({"text": "a\x1bb"}, "text"),
        ({"html": "x" * 20_001}, "html"),
        ({"html": "<b>x</b>" * 1_300}, "html"),
        ({"text": "x", "image": "y"}, "image"),
    ],
)
def test_what_is_no_signature_is_refused_by_its_field(app, body, field):
    answer = put(app, **body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert [one["field"] for one in answer.json["errors"]] == [field]
    assert app.ask("GET", SIGNATURE).json == NONE

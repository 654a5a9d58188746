"""Where a browser may be sent back to, and what merely looks like it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.return_urls import MOST_CHARACTERS, checked_return_url, origin_of, sent_back

ORIGINS = ("https://app.example", "https://crm.example:8443", "http://localhost:3000")


def refusal(url, **how):
    with pytest.raises(RequestError) as refused:
        checked_return_url(url, **({"origins": ORIGINS, "allow_loopback": True} | how))
    assert refused.value.fields[0][0] == "return_url"
    return refused.value.code


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example",
        "https://app.example/",
        "https://app.example:443/settings?tab=mail",
        "https://app.example:/x",  # an empty port is the scheme's own (RFC 3986, 3.2.3)
        "HTTPS://APP.example/settings",
        "https://app.example/%2f%2fevil.example",
        "https://app.example//evil.example/",
        "https://app.example/a?next=https://evil.example",
        "https://crm.example:8443/x",
        "http://localhost:3000/x",
    ],
)
def test_an_address_of_an_origin_on_the_list_is_taken_as_it_is(url):
    assert checked_return_url(url, origins=ORIGINS, allow_loopback=True) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/settings",
        "//evil.example",
        "//app.example",
        r"/\evil.example",
        r"https:\\app.example",
        r"https://app.example\@evil.example",
        r"https://evil.example\.app.example",
        "https:evil.example",
        "https:app.example",
        "https:/app.example",
        "https:///app.example",
        "%2f%2fevil.example",
        "https://app.example@evil.example/",
        "https://user@app.example/",
        "https://user:word@app.example/",
        "https://app.example%40evil.example/",
        "https://app.example%2eevil.example/",
        "https://app.example.evil.example/",
        "https://evil-app.example/",
        "https://app.example:444/",
        "https://app.example:99999/",
        "https://[::1",
        "http://app.example/",
        "https://evil.example/#https://app.example",
        "https://app.example/#/settings",
        "https://app.example/\r\nSet-Cookie: a=b",
        "https://app.example/\tx",
        "ht\ntps://app.example/",
        " https://app.example/",
        "https://app.example/ x",
        "https://app.exаmple/",
        "https://app.example/é",
        "javascript://app.example/%0aalert(1)",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://app.example/",
        "app.example",
        "null",
        "https://app.example/" + "a" * MOST_CHARACTERS,
    ],
)
def test_every_other_address_is_refused(url):
    assert refusal(url) is ErrorCode.RETURN_URL_NOT_ALLOWED


def test_plain_http_is_for_one_s_own_machine_alone():
    assert refusal("http://localhost:3000/x", allow_loopback=False)
    assert refusal("http://app.example/x", origins=("http://app.example",))
    assert checked_return_url("http://[::1]:80/", origins=("http://[::1]",), allow_loopback=True)


def test_nothing_is_allowed_where_no_origin_is():
    assert refusal("https://app.example/", origins=())
    assert refusal("https://app.example/", origins=("", "*", "https://*"))


def test_an_origin_is_the_same_however_it_is_written():
    assert origin_of("https://A.example") == origin_of("https://a.example:443/x?y")
    assert origin_of("https://a.example") != origin_of("http://a.example")


def test_what_we_add_stands_beside_what_the_page_had_and_replaces_what_posed_as_ours():
    url = "https://app.example/x?tab=1&mailroom_outcome=connected&mailbox_id=forged"
    back = sent_back(url, {"mailroom_outcome": "confirm"}, {"state": "s", "code": "a/b&c=d"})
    parts = urlsplit(back)
    assert parse_qs(parts.query) == {"tab": ["1"], "mailroom_outcome": ["confirm"]}
    assert parse_qs(parts.fragment) == {"state": ["s"], "code": ["a/b&c=d"]}
    assert sent_back("https://app.example", {"a": "b"}) == "https://app.example?a=b"

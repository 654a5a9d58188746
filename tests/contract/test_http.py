"""What our client of HTTPS APIs does with hosts that are slow, broken, foreign or hostile."""

import contextlib
import gzip
import os
import socket
import zlib

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers import network
from shared.providers.http import Http
from tests.contract.https_server import HttpsServer, answer

CANARY = "ya29.canary"


@pytest.fixture
def serve(certificates):
    @contextlib.contextmanager
    def start(*scripts, certificate=None):
        context = (certificate or certificates.good).server_context()
        with HttpsServer(context, list(scripts)) as server:
            yield server

    return start


@pytest.fixture
def client(certificates):
    def make(server, **more) -> Http:
        return Http([server.url], extra_ca_file=str(certificates.authority), **more)

    return make


@contextlib.contextmanager
def refused(code: ErrorCode):
    with pytest.raises(RetryLaterError) as caught:
        yield caught
    assert caught.value.code is code
    assert CANARY not in str(caught.value)


def test_an_answer_comes_with_its_status_headers_and_body(serve, client):
    with serve(answer(b"hello", 404, X_Reason="gone")) as server:
        requests = client(server).until(5)
        got = requests.send(
            "POST", f"{server.url}/a/b?c=d%20e", headers={"authorization": "x"}, body=b"12"
        )
    assert (got.status, got.body, got.headers["x-reason"]) == (404, b"hello", "gone")
    (asked,) = server.asked
    assert asked.line == "POST /a/b?c=d%20e HTTP/1.1"
    assert asked.body == b"12"
    assert asked.headers["authorization"] == "x"
    assert "gzip" in asked.headers["user-agent"]
    assert requests.sent == 1
    assert requests.bytes_in > len(b"hello")
    assert requests.bytes_out > 60


def test_a_connection_serves_one_request_after_another(serve, client):
    with serve(answer(b"1"), answer(b"2"), answer(b"3")) as server:
        http = client(server)
        for expected in (b"1", b"2", b"3"):
            assert http.until(5).send("GET", server.url).body == expected
        assert server.connections == 1


def test_a_redirect_is_not_followed(serve, client):
    with serve(answer(status=302, Location="https://127.0.0.2/")) as server:
        got = client(server).until(5).send("GET", server.url, headers={"authorization": CANARY})
        assert got.status == 302
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "https://127.0.0.1:1/x",
        "http://{place}/x",
        "https://user@{place}/x",
        "https://{place}@evil.example/x",
        "https://evil.example\\@{place}/x",
        "//{place}/x",
        "https://{place}.evil.example/",
        "https://127.0.0.1:port/",
        "file:///etc/passwd",
        "https://[",
        "",
    ],
)
def test_a_url_of_another_origin_is_refused_before_a_byte_is_sent(serve, client, url):
    with serve(answer()) as server:
        requests = client(server).until(5)
        place = server.url.removeprefix("https://")
        with refused(ErrorCode.ANSWER_NOT_UNDERSTOOD):
            requests.send("GET", url.format(place=place), headers={"authorization": CANARY})
        assert (requests.sent, requests.bytes_out, server.connections) == (0, 0, 0)


def test_an_origin_is_https_or_none():
    for origin in ("http://host.example", "host.example", ""):
        with pytest.raises(ValueError, match="an origin is"):
            Http([origin])


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä", "/\x00"])
def test_an_address_that_cannot_be_sent_is_refused_or_harmless(serve, client, path):
    with serve(answer()) as server:
        with contextlib.suppress(RetryLaterError):
            client(server).until(5).send("GET", server.url + path)
        assert all("x" not in one.headers for one in server.asked)


@pytest.mark.parametrize("value", [f"Bearer {CANARY}\r\nX: y", f"{CANARY}\n", f"{CANARY}ä"])
def test_a_token_with_odd_characters_is_neither_sent_nor_quoted(serve, client, value):
    with serve(answer()) as server, refused(ErrorCode.ANSWER_NOT_UNDERSTOOD) as caught:
        client(server).until(5).send("GET", server.url, headers={"authorization": value})
    assert caught.value.__cause__ is None


# ---- time ----


def test_a_session_without_time_sends_nothing(serve, client):
    with serve(answer()) as server, refused(ErrorCode.CONNECTION_TIMED_OUT):
        client(server).until(0)


HEAD = b"HTTP/1.1 200 Said\r\nContent-Length: 1000000\r\n"


@pytest.mark.parametrize(
    "drip",
    [
        lambda peer: peer.drip(b"H", 0.05),
        lambda peer: (peer.say(HEAD), peer.drip(b"X: y\r\n", 0.05)),
        lambda peer: (peer.say(HEAD, b"\r\n"), peer.drip(b"x", 0.05)),
    ],
    ids=["status line", "headers", "body"],
)
def test_a_drip_of_bytes_ends_at_the_deadline(serve, client, drip):
    with serve(drip) as server, refused(ErrorCode.CONNECTION_TIMED_OUT):
        client(server).until(0.4).send("GET", server.url)


def test_the_deadline_is_the_sessions_and_not_each_requests(serve, client):
    now = [0.0]
    with serve(answer()) as server:
        requests = client(server, monotonic=lambda: now[0]).until(10)
        requests.send("GET", server.url)
        now[0] = 10.1
        with refused(ErrorCode.CONNECTION_TIMED_OUT):
            requests.send("GET", server.url)


def test_silence_ends_before_the_deadline(serve, client):
    with (
        serve(lambda peer: peer.drip(b"", 0.05)) as server,
        refused(ErrorCode.CONNECTION_TIMED_OUT),
    ):
        client(server, stall_seconds=0.2).until(60).send("GET", server.url)


def test_waiting_never_goes_beyond_the_deadline(serve, client):
    slept = []
    with serve(answer()) as server:
        requests = client(server, sleep=slept.append).until(5)
        requests.wait(2)
        with refused(ErrorCode.CONNECTION_TIMED_OUT):
            requests.wait(6)
    assert slept == [2]


# ---- bodies ----


def test_a_compressed_body_is_decoded_and_counted_as_it_came(serve, client):
    body = b"a" * 200_000
    with serve(answer(gzip.compress(body), Content_Encoding="gzip")) as server:
        requests = client(server).until(5)
        assert requests.send("GET", server.url).body == body
        assert requests.bytes_in < 2_000
        assert server.asked[0].headers["accept-encoding"] == "gzip"


def test_a_gzip_bomb_is_put_down_at_the_limit(serve, client):
    bomb = gzip.compress(b"\0" * 50_000_000)
    with serve(answer(bomb, Content_Encoding="gzip")) as server:
        requests = client(server).until(10)
        seen = 0
        with (
            refused(ErrorCode.ANSWER_NOT_UNDERSTOOD),
            requests.stream("GET", server.url, limit=1_000_000) as got,
        ):
            for piece in got:
                assert len(piece) <= 65_536
                seen += len(piece)
        assert seen <= 1_000_000


def test_a_stream_of_empty_gzip_blocks_has_an_end(serve, client):
    def endless(peer):
        squeeze = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        head = b"HTTP/1.1 200 Said\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
        peer.say(head, squeeze.compress(b"x"))
        peer.drip(squeeze.flush(zlib.Z_FULL_FLUSH) + b"\0\0\0\xff\xff" * 20_000, 0)

    with serve(endless) as server, refused(ErrorCode.ANSWER_NOT_UNDERSTOOD):
        client(server).until(10).send("GET", server.url, limit=1000)


def test_a_body_larger_than_the_limit_is_refused(serve, client):
    with serve(answer(b"x" * 1001)) as server, refused(ErrorCode.ANSWER_NOT_UNDERSTOOD):
        client(server).until(5).send("GET", server.url, limit=1000)


def cut_after(*pieces: bytes):
    return lambda peer: (peer.say(*pieces), peer.cut())


@pytest.mark.parametrize(
    "script",
    [
        cut_after(b"HTTP/1.1 200 Said\r\nContent-Length: 10\r\n\r\n12345"),
        cut_after(b"HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"),
        cut_after(b"HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123"),
        cut_after(
            b"HTTP/1.1 200 Said\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
            gzip.compress(os.urandom(5_000))[:4_000],
        ),
        cut_after(b"HTTP/1.1 200 Sa"),
        cut_after(b""),
    ],
    ids=["length", "between chunks", "in a chunk", "gzip", "head", "nothing"],
)
def test_a_cut_answer_is_never_taken_for_a_whole_one(serve, client, script):
    with serve(script) as server, pytest.raises(RetryLaterError) as caught:
        client(server).until(5).send("GET", server.url)
    assert caught.value.code in {ErrorCode.CONNECTION_DROPPED, ErrorCode.ANSWER_NOT_UNDERSTOOD}


@pytest.mark.parametrize(
    "script",
    [
        lambda peer: peer.say(b"* OK IMAP4 ready\r\n" * 3),
        lambda peer: peer.say(b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n"),
        lambda peer: peer.say(b"HTTP/1.1 200 Said\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
        answer(b"not gzip", Content_Encoding="gzip"),
        answer(b"x", Content_Encoding="br"),
    ],
    ids=["not HTTP", "endless line", "flood of headers", "not gzip", "brotli"],
)
def test_what_breaks_http_is_a_violation(serve, client, script):
    with serve(script) as server, refused(ErrorCode.ANSWER_NOT_UNDERSTOOD):
        client(server).until(5).send("GET", server.url)


def test_a_stream_that_is_left_early_spoils_no_connection(serve, client):
    with serve(answer(b"x" * 500_000), answer(b"next")) as server:
        requests = client(server).until(5)
        with requests.stream("GET", server.url) as got:
            next(iter(got))
        assert requests.send("GET", server.url).body == b"next"
        assert server.connections == 2


# ---- pooled connections ----


def dies_when_asked_again(peer) -> None:
    peer.say(b"HTTP/1.1 200 Said\r\nContent-Length: 2\r\n\r\nok")


def test_a_pooled_connection_that_died_in_between_is_replaced_in_silence(serve, client):
    with serve(answer(b"1"), answer(b"2")) as server:
        http = client(server)
        assert http.until(5).send("GET", server.url).body == b"1"
        server.hang_up()
        requests = http.until(5)
        assert requests.send("GET", server.url).body == b"2"
        assert server.connections == 2


def test_a_pooled_connection_that_dies_of_a_request_is_tried_again_once(serve, client):
    with serve(answer(b"1"), cut_after(b""), answer(b"2"), cut_after(b"")) as server:
        requests = client(server).until(5)
        assert requests.send("GET", server.url).body == b"1"
        assert requests.send("GET", server.url).body == b"2"
        assert requests.sent == 3
        with refused(ErrorCode.CONNECTION_DROPPED):
            requests.send("GET", server.url)
        assert len(server.asked) == 5


def test_nothing_is_sent_again_once_something_came_back(serve, client):
    half = cut_after(b"HTTP/1.1 200 Said\r\nContent-Le")
    with serve(answer(b"1"), half, answer(b"2")) as server:
        requests = client(server).until(5)
        requests.send("GET", server.url)
        with pytest.raises(RetryLaterError):
            requests.send("GET", server.url)
        assert len(server.asked) == 2


def test_a_new_connection_that_dies_is_not_tried_again(serve, client):
    with serve(cut_after(b""), answer()) as server, refused(ErrorCode.CONNECTION_DROPPED):
        client(server).until(5).send("GET", server.url)
    assert len(server.asked) == 1


def test_a_connection_unused_for_long_is_not_used_again(serve, client):
    now = [0.0]
    with serve(answer()) as server:
        http = client(server, monotonic=lambda: now[0])
        http.until(5).send("GET", server.url)
        now[0] = 61.0
        http.until(5).send("GET", server.url)
        assert server.connections == 2


# ---- trust ----


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("self_signed", ErrorCode.TLS_UNTRUSTED),
        ("wrong_name", ErrorCode.TLS_WRONG_NAME),
        ("expired", ErrorCode.TLS_EXPIRED),
    ],
)
def test_a_bad_certificate_is_told_by_its_fault_and_gets_no_byte(
    serve, client, certificates, shown, code
):
    with serve(answer(), certificate=getattr(certificates, shown)) as server, refused(code):
        client(server).until(5).send("GET", server.url, headers={"authorization": CANARY})
    assert server.asked == []


def test_no_variable_of_the_environment_decides_whom_we_trust_or_by_whom_we_go(
    serve, certificates, monkeypatch
):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificates.authority))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve(answer(b"ok")) as server:
        with refused(ErrorCode.TLS_UNTRUSTED):
            Http([server.url]).until(5).send("GET", server.url)
        trusting = Http([server.url], extra_ca_file=str(certificates.authority))
        assert trusting.until(5).send("GET", server.url).body == b"ok"


def test_nobody_there_is_told_as_such(serve, client):
    with serve(answer()) as server:
        http, url = client(server), server.url
    with refused(ErrorCode.CONNECTION_FAILED):
        http.until(5).send("GET", url)


def test_a_host_without_an_address_is_told_as_such(monkeypatch):
    def resolve(name, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(network, "_system_addresses", resolve)
    with refused(ErrorCode.HOST_NOT_FOUND):
        Http(["https://nowhere.invalid"]).until(5).send("GET", "https://nowhere.invalid/")

"""What every simulator stands on: its server, its state, its clock."""

import http.client
import socket
import ssl

import pytest

from infra.simulators.google import GoogleSimulator
from infra.simulators.kit.clock import Clock
from infra.simulators.kit.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY)"


def test_what_leaves_a_transaction_by_an_exception_is_undone():
    store = Store(SCHEMA)

    def fail():
        with store.transaction():
            store.execute("INSERT INTO things VALUES ('a')")
            with store.transaction():
                store.execute("INSERT INTO things VALUES ('b')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.rows("SELECT * FROM things") == []
    store.close()


def test_the_clock_goes_forward_only_and_remembers(tmp_path):
    store = Store(SCHEMA, tmp_path / "state")
    clock = Clock(store)
    before = clock.epoch()
    clock.advance(1000)
    assert clock.epoch() - before >= 1000
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    store.close()
    again = Store(SCHEMA, tmp_path / "state")
    assert Clock(again).offset_seconds == 1000
    again.close()


def raw_exchange(google, sent):
    port = int(google.root.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while data := connection.recv(65_536):
            found += data
    return found


def test_requests_follow_each_other_on_one_connection_with_any_kind_of_body(google):
    chunked = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"5\r\ngrant\r\nb;x=y\r\n_type=other\r\n0\r\nTrailer: x\r\n\r\n"
    found = raw_exchange(google, chunked * 2)
    assert found.count(b"HTTP/1.1 400") == 2
    assert found.count(b"Invalid grant_type: other") == 2


def test_what_is_no_http_ends_the_connection_and_harms_nobody(google):
    for sent in (
        b"\x16\x03\x01 what\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"",
    ):
        raw_exchange(google, sent)
    assert google.ask("GET", "/.well-known/openid-configuration").status == 200


def test_a_client_that_does_not_trust_the_certificate_harms_nobody(google):
    port = int(google.simulator.url.rpartition(":")[2])
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, context=ssl.create_default_context()
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/")
    connection.close()
    assert google.ask("GET", "/.well-known/openid-configuration").status == 200


def test_stopping_hangs_up_on_open_connections(certificates):
    simulator = GoogleSimulator().start()
    port = int(simulator.browser_url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/.well-known/openid-configuration")
    connection.getresponse().read()
    simulator.stop()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.request("GET", "/")
        connection.getresponse()
    connection.close()


def test_a_fixed_port_can_be_taken_again_at_once():
    first = GoogleSimulator().start()
    port = int(first.browser_url.rpartition(":")[2])
    first.stop()
    again = GoogleSimulator(browser_port=port).start()
    assert again.browser_url == f"http://127.0.0.1:{port}"
    again.stop()


def test_a_bug_of_the_simulator_is_a_500_and_is_remembered(certificates, capsys):
    with GoogleSimulator() as simulator:
        simulator.add_user("ada@gmail.example")
        simulator.signer.jwks = lambda: 1 / 0
        port = int(simulator.browser_url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/oauth2/v3/certs")
        assert connection.getresponse().status == 500
        connection.close()
        assert "ZeroDivisionError" in simulator.service.failures[0]
    capsys.readouterr()

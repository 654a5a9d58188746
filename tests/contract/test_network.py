"""Where a connection really goes and what TLS really checks, over loopback sockets."""

import socket
import ssl
import time

import pytest

from infra.simulators.wire import ScriptedServer
from shared.domain.errors import ErrorCode, MailroomError
from shared.providers.network import LOGIN_BYTES, Network
from tests.contract.conftest import loopback_policy


def network_of(certificates, answers=None, **policy) -> Network:
    remaining = list(answers or [])

    def resolve(_name, _port):
        return remaining.pop(0)

    return Network(
        loopback_policy(certificates.authority, **policy), resolve=resolve if answers else None
    )


@pytest.fixture
def greeter(certificates):
    """A TLS server on both loopback addresses that says which one was connected to."""

    def greet(wire):
        wire.start_tls(certificates.good.server_context())
        wire.send(wire._socket.getsockname()[0].encode() + b"\r\n")
        wire.hold()

    with ScriptedServer(greet, host="0.0.0.0") as server:
        yield server


def greeting_at(connection) -> bytes:
    line = connection.readline(100)
    connection.close()
    return line.strip()


def test_the_connection_goes_to_the_address_that_was_checked(certificates, greeter):
    network = network_of(certificates, [["127.0.0.2"], ["127.0.0.1"]])
    connection = network.connect("localhost", greeter.port, tls=True, seconds=5)
    assert connection.address == "127.0.0.2"
    assert greeting_at(connection) == b"127.0.0.2"


def test_tls_verifies_the_name_and_not_the_address(certificates, greeter):
    network = network_of(certificates, [["127.0.0.1"]])
    with pytest.raises(MailroomError) as caught:
        network.connect("mail.other.example", greeter.port, tls=True, seconds=5)
    assert caught.value.code is ErrorCode.TLS_WRONG_NAME


def test_a_dead_address_is_followed_by_the_next(certificates, greeter):
    with socket.create_server(("127.0.0.3", 0)) as dead:
        del dead
    network = network_of(certificates, [["127.0.0.250", "127.0.0.2"]])
    real = network._dial

    def dial(address, port, seconds):
        return real(address, 1 if address == "127.0.0.250" else port, seconds)

    network._dial = dial
    connection = network.connect("localhost", greeter.port, tls=True, seconds=5)
    assert greeting_at(connection) == b"127.0.0.2"


def test_authorities_are_loaded_once_for_all_connections(certificates, greeter, monkeypatch):
    built = []
    real = ssl.create_default_context
    monkeypatch.setattr(
        ssl, "create_default_context", lambda **paths: built.append(1) or real(**paths)
    )
    network = network_of(certificates)
    for _ in range(3):
        greeting_at(network.connect("127.0.0.1", greeter.port, tls=True, seconds=5))
    assert built == [1]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(certificates, version):
    def greet(wire):
        context = certificates.good.server_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        wire.start_tls(context)
        wire.hold()

    with ScriptedServer(greet) as server, pytest.raises(MailroomError) as caught:
        network_of(certificates).connect(server.host, server.port, tls=True, seconds=5)
    assert caught.value.code in {ErrorCode.TLS_FAILED, ErrorCode.CONNECTION_DROPPED}


def test_a_flood_before_the_login_is_cut_off(certificates):
    def flood(wire):
        while True:
            wire.send(b"x" * 65_536)

    with ScriptedServer(flood) as server:
        connection = network_of(certificates).connect(
            server.host, server.port, tls=False, seconds=5
        )

        def read_on():
            for _ in range(4 * LOGIN_BYTES // 4_096):
                connection.read(4_096)

        with pytest.raises(MailroomError) as caught:
            read_on()
        connection.close()
    assert caught.value.code is ErrorCode.PROTOCOL_VIOLATION
    assert connection.bytes_in < LOGIN_BYTES + 100_000


@pytest.mark.parametrize("act", ["readline", "read"])
def test_a_byte_at_a_time_ends_at_the_deadline(certificates, act):
    def drip(wire):
        wire.drip(b"x", 0.05)

    with ScriptedServer(drip) as server:
        connection = network_of(certificates).connect(
            server.host, server.port, tls=False, seconds=0.4
        )
        started = time.monotonic()
        with pytest.raises(MailroomError) as caught:
            getattr(connection, act)(10_000)
        connection.close()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
    assert time.monotonic() - started < 1.5


def test_an_exchange_has_a_deadline_of_its_own_within_the_session(certificates):
    def drip(wire):
        wire.drip(b"x", 0.05)

    with ScriptedServer(drip) as server:
        connection = network_of(certificates).connect(
            server.host, server.port, tls=False, seconds=5
        )
        connection.set_session_limits(seconds=60, stall_seconds=60)
        connection.begin_exchange(0.3)
        started = time.monotonic()
        with pytest.raises(MailroomError) as caught:
            connection.read(10_000)
        connection.close()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
    assert time.monotonic() - started < 1.5


def test_silence_ends_after_the_stall_and_not_only_with_the_session(certificates):
    with ScriptedServer(lambda wire: wire.hold()) as server:
        connection = network_of(certificates).connect(
            server.host, server.port, tls=False, seconds=5
        )
        connection.set_session_limits(seconds=60, stall_seconds=0.2)
        started = time.monotonic()
        with pytest.raises(MailroomError) as caught:
            connection.readline()
        connection.close()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("said", [b"", b"half a line"])
def test_an_end_in_the_middle_is_a_dropped_connection(certificates, said):
    with ScriptedServer(lambda wire: wire.send(said)) as server:
        connection = network_of(certificates).connect(
            server.host, server.port, tls=False, seconds=5
        )
        with pytest.raises(MailroomError) as caught:
            connection.readline()
        connection.close()
    assert caught.value.code is ErrorCode.CONNECTION_DROPPED


def test_bytes_ahead_of_tls_are_refused(certificates):
    def ahead(wire):
        wire.send(b"ready\r\ninjected\r\n")
        wire.hold()

    with ScriptedServer(ahead) as server:
        network = network_of(certificates)
        connection = network.connect(server.host, server.port, tls=False, seconds=5)
        assert connection.readline() == b"ready\r\n"
        with pytest.raises(MailroomError) as caught:
            network.start_tls(connection)
        connection.close()
    assert caught.value.code is ErrorCode.PROTOCOL_VIOLATION

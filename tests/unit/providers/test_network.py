"""What is checked before a socket is opened, with a resolver and a dialer of the tests."""

import socket

import pytest

from shared.domain.errors import ConfigurationError, ErrorCode, MailroomError, RequestError
from shared.providers.network import MAIL_PORTS, Network, NetworkPolicy

PUBLIC = "93.184.216.34"


class Outside:
    """A resolver that counts its questions and a dialer that notes where it was sent."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.failures: dict[str, Exception] = {}
        self.seconds: list[float] = []

    def resolve(self, name, port):
        self.asked.append(name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def dial(self, address, port, seconds):
        self.dialled.append((address, port))
        self.seconds.append(seconds)
        if address in self.failures:
            raise self.failures[address]
        near, far = socket.socketpair()
        far.close()
        return near

    def network(self, **policy) -> Network:
        return Network(
            NetworkPolicy(**policy), resolve=self.resolve, dial=self.dial, monotonic=lambda: 1000.0
        )


def connect(network, host="imap.example.com", port=993):
    connection = network.connect(host, port, tls=False, seconds=15)
    connection.close()
    return connection


def code_of(network, host="imap.example.com", port=993) -> ErrorCode:
    with pytest.raises(MailroomError) as caught:
        connect(network, host, port)
    return caught.value.code


@pytest.mark.parametrize("port", sorted(MAIL_PORTS))
def test_mails_ports_are_open(port):
    outside = Outside([PUBLIC])
    assert connect(outside.network(), port=port).address == PUBLIC
    assert outside.dialled == [(PUBLIC, port)]


@pytest.mark.parametrize("port", [0, 1, 22, 25, 80, 443, 3306, 6379, 9001, 65_535])
def test_other_ports_are_refused_before_anything_is_asked(port):
    outside = Outside([PUBLIC])
    assert code_of(outside.network(), port=port) is ErrorCode.PORT_NOT_ALLOWED
    assert outside.asked == []


def test_an_extra_port_is_the_operators_to_open():
    outside = Outside([PUBLIC])
    connect(outside.network(extra_ports=frozenset({10_143})), port=10_143)
    assert outside.dialled == [(PUBLIC, 10_143)]


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.7"],
        ["fd00:ec2::254"],
        ["fe80::1%2"],
        ["64:ff9b::a9fe:a9fe"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC] * 50 + ["::1"],
    ],
)
def test_one_inner_address_condemns_the_name(answer):
    outside = Outside(answer)
    assert code_of(outside.network()) is ErrorCode.HOST_NOT_ALLOWED
    assert outside.dialled == []


def test_a_name_that_changes_its_answer_is_asked_once():
    outside = Outside([PUBLIC], ["127.0.0.1"])
    connection = connect(outside.network())
    assert outside.asked == ["imap.example.com"]
    assert outside.dialled == [(PUBLIC, 993)]
    assert connection.address == PUBLIC


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "::1",
        "0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "①②⑦.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "169.254.169.254",
        "[::1]",
        "::ffff:127.0.0.1",
    ],
)
def test_odd_spellings_of_loopback_reach_no_resolver(host):
    outside = Outside(["127.0.0.1"])
    assert code_of(outside.network()) is ErrorCode.HOST_NOT_ALLOWED
    outside.asked.clear()
    assert code_of(outside.network(), host) is ErrorCode.HOST_NOT_ALLOWED
    assert outside.asked == []
    assert outside.dialled == []


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "①②⑦.0.0.1"])
def test_odd_spellings_stay_refused_where_private_hosts_are_allowed(host):
    outside = Outside(["127.0.0.1"])
    assert code_of(outside.network(allow_private_hosts=True), host) is ErrorCode.HOST_NOT_ALLOWED


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "localtest.me"])
def test_a_name_for_loopback_is_judged_by_its_address(host):
    assert code_of(Outside(["127.0.0.1"]).network(), host) is ErrorCode.HOST_NOT_ALLOWED
    outside = Outside(["127.0.0.1"])
    connect(outside.network(allow_private_hosts=True), host)
    assert outside.dialled == [("127.0.0.1", 993)]


def test_an_international_name_is_asked_for_in_ascii():
    outside = Outside([PUBLIC])
    connect(outside.network(), "imap.Bücher.example.")
    assert outside.asked == ["imap.xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        ".",
        "a..b",
        "-",
        "imap example.com",
        "imap.example.com\r\nX",
        "imap.example.com\n",
        "imap\0.example.com",
        "a" * 64 + ".example",
        "x." * 130 + "example",
        "imap.example.com/path",
        "user@imap.example.com",
        "☃\u200d.",
    ],
)
def test_what_is_no_host_name_reaches_no_resolver(host):
    outside = Outside([PUBLIC])
    with pytest.raises(MailroomError) as caught:
        connect(outside.network(), host)
    assert caught.value.code in {ErrorCode.HOST_NOT_FOUND, ErrorCode.HOST_NOT_ALLOWED}
    assert outside.asked == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), ErrorCode.HOST_NOT_FOUND),
        (socket.gaierror(socket.EAI_NODATA, "no address"), ErrorCode.HOST_NOT_FOUND),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), ErrorCode.CONNECTION_FAILED),
        (socket.gaierror(socket.EAI_FAIL, "broken"), ErrorCode.CONNECTION_FAILED),
        (UnicodeError("label too long"), ErrorCode.HOST_NOT_FOUND),
        ([], ErrorCode.HOST_NOT_FOUND),
    ],
)
def test_a_resolvers_failure_has_its_code(failure, code):
    assert code_of(Outside(failure).network()) is code


def test_a_silent_resolver_is_not_waited_for_longer_than_the_deadline():
    released = socket.socketpair()

    def silent(_name, _port):
        released[0].recv(1)
        return [PUBLIC]

    network = Network(NetworkPolicy(), resolve=silent)
    with pytest.raises(MailroomError) as caught:
        network.connect("imap.example.com", 993, tls=False, seconds=0.05)
    for end in released:
        end.close()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


def test_addresses_are_tried_in_turn_within_one_deadline():
    outside = Outside([PUBLIC, "93.184.216.35", "2606:4700::1111"])
    outside.failures = {PUBLIC: TimeoutError(), "93.184.216.35": ConnectionRefusedError()}
    connection = connect(outside.network())
    assert connection.address == "2606:4700::1111"
    assert outside.seconds == [5.0, 7.5, 15.0]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (TimeoutError(), ErrorCode.CONNECTION_TIMED_OUT),
        (ConnectionRefusedError(), ErrorCode.CONNECTION_FAILED),
        (OSError(101, "unreachable"), ErrorCode.CONNECTION_FAILED),
    ],
)
def test_a_connection_that_fails_has_its_code(failure, code):
    outside = Outside([PUBLIC])
    outside.failures = {PUBLIC: failure}
    assert code_of(outside.network()) is code


def test_no_time_is_left_for_a_connection():
    moments = iter([0.0, 20.0, 20.0])
    outside = Outside([PUBLIC])
    network = Network(
        NetworkPolicy(),
        resolve=outside.resolve,
        dial=outside.dial,
        monotonic=lambda: next(moments),
    )
    assert code_of(network) is ErrorCode.CONNECTION_TIMED_OUT
    assert outside.dialled == []


def test_refusals_are_the_callers_and_failures_are_times():
    with pytest.raises(RequestError):
        connect(Outside(["127.0.0.1"]).network())


def test_plain_text_needs_the_operators_permission():
    with pytest.raises(ConfigurationError):
        Network(NetworkPolicy()).require_plaintext_permitted()
    Network(NetworkPolicy(allow_plaintext=True)).require_plaintext_permitted()

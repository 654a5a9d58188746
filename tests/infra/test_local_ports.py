"""Ports of stacks that start at the same moment."""

import socket
import subprocess
import sys

from infra.local import mail_ports, ports
from infra.local.paths import Paths

CLAIM = """
import sys
from pathlib import Path
from infra.local import ports
from infra.local.paths import Paths
paths, port = Paths.of(Path(sys.argv[1])), int(sys.argv[2])
paths.create()
ports._FIRST, ports._LAST = port, port + 1
print(ports.claim(paths, "issuer"), flush=True)
sys.stdin.read()
"""


def test_a_port_that_another_process_is_about_to_listen_on_is_not_free(tmp_path):
    with socket.socket() as probe:
        probe.bind((ports.LOOPBACK, 0))
        port = probe.getsockname()[1]

    def claim(name):
        return subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path / name), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with claim("one") as one:
        assert one.stdout.readline() == f"{port}\n"
        with claim("other") as other:
            assert "no free port for issuer" in other.communicate()[1]
        one.communicate()
    with claim("third") as third:
        assert third.communicate()[0] == f"{port}\n"


def test_a_stack_keeps_its_own_port_and_gives_it_to_no_other(tmp_path):
    one, other = Paths.of(tmp_path / "one"), Paths.of(tmp_path / "other")
    for paths in (one, other):
        paths.create()
    port = ports.claim(one, "issuer")
    assert ports.claim(one, "issuer") == port
    other.ports.write_text(f'{{"issuer": {port}}}')
    assert ports.claim(other, "issuer") != port


def test_mail_servers_come_back_on_their_ports_and_take_no_other_ones(tmp_path):
    remembered = tmp_path / "ports.json"
    chosen = mail_ports.choose_ports(remembered, ["tls"])
    paths = Paths.of(tmp_path / "stack")
    paths.create()
    paths.ports.write_text(f'{{"aws": {chosen["tls"]}}}')
    assert ports.claim(paths, "aws") != chosen["tls"]

"""Fixtures of real mail servers: a Dovecot and a submission server for the run, users per test.

Switch them on in a test module or a conftest:

    pytest_plugins = ["tests.mail_servers"]          # in tests/conftest.py
    from tests.mail_servers import *                 # or in one module, with F403 allowed

- `certificates`: an authority and a good, a self-signed, a wrong-name and an expired certificate.
- `dovecot`: the server of the run. Connect to 127.0.0.2 where a password must not go in clear:
  Dovecot takes a connection from 127.0.0.1 to 127.0.0.1 for a secure one.
- `mail_user`: a fresh user there, with credentials and `mail` to change the mailbox from outside.
- `smtp_server`: a submission server that delivers into that Dovecot.
- `pymap_user`: a user of a fresh pymap: no CONDSTORE, no SPECIAL-USE, no ESEARCH, STARTTLS only,
  UIDVALIDITY above 2^31.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import multiprocessing.context
import socket
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from infra.local.certificates import CertificateSet, ensure_certificates
from infra.local.dovecot import DovecotServer
from infra.local.dovecot_mail import StoredMail
from infra.local.smtp_server import SubmissionServer
from tests import pymap_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess
    from pathlib import Path

_START_SECONDS = 20.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class MailUser:
    """A mailbox of its own on a running server, and how to reach it.

    Attributes:
        address: also the user name.
        password: of that user.
        host: where the servers listen.
        tls_port: IMAP over implicit TLS; 0 where there is none.
        starttls_port: IMAP with STARTTLS.
        authority: PEM of the authority that signed the certificate.
        mail: the mailbox, to change as the owner's other client does.
    """

    address: str
    password: str
    host: str
    tls_port: int
    starttls_port: int
    authority: Path
    mail: StoredMail


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateSet:
    return ensure_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DovecotServer]:
    with DovecotServer(tmp_path_factory.mktemp("dovecot"), {}) as server:
        yield server


@pytest.fixture
def mail_user(dovecot: DovecotServer) -> Iterator[MailUser]:
    address = f"user{next(_numbers)}@mailroom.example"
    dovecot.add_user(address, password := f"password of {address}")
    yield MailUser(
        address=address,
        password=password,
        host=dovecot.addresses[-1],
        tls_port=dovecot.ports.tls,
        starttls_port=dovecot.ports.starttls,
        authority=dovecot.certificates.authority,
        mail=dovecot.mail(address),
    )
    dovecot.remove_user(address)


@pytest.fixture(scope="session")
def smtp_server(
    tmp_path_factory: pytest.TempPathFactory, dovecot: DovecotServer
) -> Iterator[SubmissionServer]:
    with SubmissionServer(tmp_path_factory.mktemp("submission"), dovecot) as server:
        yield server


@pytest.fixture
def pymap_user(certificates: CertificateSet) -> Iterator[MailUser]:
    port = _free_port()
    good = certificates.good
    arguments = [
        "--host", "127.0.0.1", "--port", str(port), "--cert", str(good.certificate),
        "--key", str(good.key), "dict", "--demo-user", "pymap@mailroom.example",
        "--demo-password", "password of pymap",
    ]  # fmt: skip
    process = _forks().Process(target=pymap_process.serve, args=(arguments,), daemon=True)
    process.start()
    try:
        _wait_until_greeted(port, process)
        yield MailUser(
            address="pymap@mailroom.example",
            password="password of pymap",
            host="127.0.0.1",
            tls_port=0,
            starttls_port=port,
            authority=certificates.authority,
            mail=StoredMail(
                host="127.0.0.1",
                port=port,
                user="pymap@mailroom.example",
                password="password of pymap",
                tls=certificates.client_context(),
                starttls=True,
            ),
        )
    finally:
        process.kill()
        process.join(_START_SECONDS)


@cache
def _forks() -> multiprocessing.context.ForkServerContext:
    """Each a fork of one process that has loaded pymap, which takes longer than most tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pymap.main"])
    return context


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_greeted(port: int, process: BaseProcess) -> None:
    """Return when the server greets; there is no file or line to wait for, so ask until then."""
    for _ in range(2000):
        if not process.is_alive():
            raise RuntimeError(f"pymap ended with {process.exitcode}; its words are above")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.settimeout(_START_SECONDS)
            if sock.recv(64).startswith(b"* OK"):
                return
        process.join(0.01)
    raise RuntimeError("pymap did not greet")

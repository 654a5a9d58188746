"""A whole local stack of its own for the end-to-end tests: what `poe up` starts, elsewhere."""

import itertools
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from infra.local import ports
from infra.local.dovecot import DovecotServer
from infra.local.mail_providers import MailProviders
from infra.local.paths import Paths
from infra.local.smtp_server import SubmissionServer
from infra.local.stack import LocalStack, MailAccess

SPARE_PORTS = 4
FRONT_END = "http://127.0.0.1:3000"
"""A front end under development; on the stack's list of origins."""


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    headers: dict
    body: dict


class Caller:
    """The API as one user calls it."""

    def __init__(self, stack, token):
        self.stack = stack
        self.token = token

    def __call__(self, method, path, body=None, **headers):
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(
            self.stack.api_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return _answer(answer.status, answer)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error)


def _answer(status, response):
    text = response.read()
    is_json = "json" in response.headers.get("Content-Type", "")
    return Answer(
        status, dict(response.headers), json.loads(text) if text and is_json else text.decode()
    )


class Stack(LocalStack):
    """The stack under test: what `LocalStack` offers, and callers."""

    spare_ports: tuple[int, ...] = ()
    """Ports the API lets a mail server use; free for servers that misbehave on purpose."""

    def as_user(self, tenant, user, role=None):
        return Caller(self, self.token(tenant, user, role))

    def as_nobody(self):
        return Caller(self, None)


@pytest.fixture(scope="session")
def stack_paths(tmp_path_factory):
    return Paths.of(tmp_path_factory.mktemp("mailroom"))


@pytest.fixture(scope="session")
def dovecot(stack_paths):
    """The IMAP server that the stack may reach and whose authority it trusts. Add a user per test."""
    with DovecotServer(stack_paths.mail / "imap", {}) as server:
        yield server


@pytest.fixture(scope="session")
def submission(stack_paths, dovecot):
    """The SMTP server of the same users."""
    with SubmissionServer(stack_paths.mail / "smtp", dovecot) as server:
        yield server


@pytest.fixture(scope="session")
def providers(stack_paths, dovecot):
    """Gmail and Outlook. Add an account per test."""
    made = MailProviders(stack_paths, dovecot.certificates)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def stack(stack_paths, dovecot, submission, providers):
    """Mailroom, deployed and empty."""
    stack_paths.create()
    spare = tuple(ports.claim(stack_paths, f"spare {number}") for number in range(SPARE_PORTS))
    access = MailAccess(
        ports=(
            *(dovecot.ports.tls, dovecot.ports.starttls),
            *(submission.ports.tls, submission.ports.starttls),
            *spare,
        ),
        authority=dovecot.certificates.authority,
    )
    made = Stack(stack_paths, mail=access, more=providers.parameters())
    made.spare_ports = spare
    made.more |= own_mail_servers(dovecot, submission)
    try:
        made.start()
        providers.register(made)
        yield made
    finally:
        made.stop()


def own_mail_servers(dovecot, submission):
    """The parameter by which the page proposes these servers to their users."""
    imap, smtp = (f"127.0.0.1:{server.ports.tls}/tls" for server in (dovecot, submission))
    return {"OwnMailServers": f"mailroom.test {imap} {smtp}"}


@pytest.fixture
def open_page(stack, providers, visit, request):
    """Open the page as somebody who signs in as a person does; of a new tenant, unless one is named.

    `open_page("#/mailboxes", tenant="acme", user="ben", admin=False)` returns a `Visit`, which also
    has the `tenant` and `api`, the API as that person calls it.
    """
    numbers = itertools.count(1)
    simulators = (providers.google, providers.microsoft)
    elsewhere = [url for one in simulators for url in (one.url, one.browser_url)]

    def opened(at="", *, tenant=None, user="ada", admin=True):
        visited = visit(stack.page_url, stack.issuer_url, *elsewhere)
        visited.tenant = tenant or f"{request.node.name[5:60]}-{next(numbers)}"
        visited.api = stack.as_user(visited.tenant, user, "admin" if admin else None)
        visited.page.goto(stack.page_url + at)
        visited.page.get_by_role("button", name="Sign in").click()
        visited.choose(visited.tenant, user, admin=admin)
        visited.page.get_by_role("navigation", name="Main").wait_for()
        return visited

    return opened

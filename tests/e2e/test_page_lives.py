"""A mailbox's whole life at each provider, on the page alone, in a real browser."""

import uuid
from types import SimpleNamespace

import pytest

from tests.e2e.page_accounts import AtGmail, AtImap, AtOutlook
from tests.e2e.page_life import Life

pytestmark = pytest.mark.stack


@pytest.fixture(params=[AtImap, AtGmail, AtOutlook], ids=["imap", "gmail", "outlook"])
def account(request, stack, dovecot, submission, providers):
    servers = SimpleNamespace(dovecot=dovecot, submission=submission, providers=providers)
    yield request.param(servers, uuid.uuid4().hex[:8])
    for simulator in (providers.google, providers.microsoft):
        simulator.faults.clear()


def test_a_mailbox_is_connected_read_answered_mended_and_left(account, open_page):
    held = account.fill()
    life = Life(open_page(tenant=account.tag), account)
    life.begin()
    life.choose()
    life.see_import(held)
    life.add_customer()
    life.open_thread()
    life.read()
    life.reply()
    life.lose_login()
    life.mend()
    life.disconnect()

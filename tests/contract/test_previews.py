"""What a preview announces is what an import then brings, at the providers that count."""

from datetime import timedelta

import pytest

from shared.domain.mailbox import Provider
from shared.domain.policy import Automated, TenantPolicy
from tests.contract import provider_worlds
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW
from tests.fakes.values import a_contact


@pytest.mark.parametrize(("provider", "quota"), [(Provider.GMAIL, 20), (Provider.OUTLOOK, 1)])
def test_a_preview_announces_the_import_that_follows(provider, quota, request):
    there = request.getfixturevalue(provider)
    there.theirs.create_folder("Deals")
    for number, days in enumerate([1, 5, 20, 60, 61, 200, 300, 400]):
        folder = "INBOX" if number % 2 else "Deals"
        there.theirs.deliver(number, folder=folder, received_at=NOW - timedelta(days=days))
    operated = Operated(there, provider, days=0)
    operated.machine.drain()
    windows = operated.preview()
    assert [one.messages for one in windows] == [one.missing for one in windows] == [2, 3, 5, 7]
    backfill = operated.extend(90)
    assert (backfill.planned, backfill.counts.stored) == (5, 5)
    assert [one.missing for one in operated.preview()] == [0, 0, 0, 2]
    assert [one.quota for one in operated.preview()] == [0, 0, 0, 2 * quota]


def there_at(provider, request):
    if provider is Provider.IMAP:
        return provider_worlds.on_imap(request.getfixturevalue("mail_user"))
    return request.getfixturevalue(provider)


@pytest.mark.parametrize("provider", Provider)
def test_a_preview_says_how_many_match_contacts_by_headers_alone(provider, request):
    there = there_at(provider, request)
    eve = "From: Eve <EVE@client.example>\r\nTo: alice@mail.example"
    copied = "From: x@b.example\r\nTo: alice@mail.example\r\nCc: eve@client.example"
    listed = f"{eve}\r\nList-Id: <news.client.example>"
    for number, (head, days) in enumerate([(eve, 2), (copied, 20), (listed, 21), (eve, 200)], 100):
        there.theirs.deliver_as(number, head, received_at=NOW - timedelta(days=days))
    for number, days in enumerate([1, 3, 5, 60]):
        there.theirs.deliver(number, received_at=NOW - timedelta(days=days))
    operated = Operated(there, provider, days=0)
    operated.machine.drain()
    contact = a_contact("crm-1", "eve@client.example", tenant_id=operated.place[0])
    operated.machine.contacts.put_contact(contact, expected_version=None)
    seen = [(one.messages, one.matching, one.looked_at) for one in operated.preview()]
    assert seen == [(4, 1, 4), (6, 3, 6), (7, 3, 7), (8, 4, 8)]
    policy = TenantPolicy(automated=Automated.SKIP)
    operated.machine.policies.put_policy(operated.place[0], policy, expected_version=None)
    assert [one.matching for one in operated.preview()] == [1, 2, 2, 3]
    assert operated.copies == {}


@pytest.mark.parametrize("provider", Provider)
def test_of_more_than_there_is_room_for_some_stand_for_all(provider, request, monkeypatch):
    monkeypatch.setattr("shared.operations.match_sample.MOST_LOOKED_AT", 24)
    there = there_at(provider, request)
    for number in range(60):
        there.theirs.deliver(number, received_at=NOW - timedelta(days=100 + 4 * number))
    operated = Operated(there, provider, days=0)
    operated.machine.drain()
    contact = a_contact("crm-1", "ann@customer.example", tenant_id=operated.place[0])
    operated.machine.contacts.put_contact(contact, expected_version=None)
    year = operated.preview()[3]
    assert (year.messages, year.matching) == (60, 60)
    assert 12 <= year.looked_at <= 24

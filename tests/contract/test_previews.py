"""What a preview announces is what an import then brings, at the providers that count."""

from datetime import timedelta

import pytest

from shared.domain.mailbox import Provider
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW


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

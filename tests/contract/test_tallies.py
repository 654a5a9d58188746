"""What counting costs, and what it leaves out, where a provider's own figures are to be had."""

from datetime import timedelta

from shared.ports.provider import Tally
from shared.providers.gmail import counting
from tests.contract.provider_worlds import NOW

INSTANTS = [NOW - timedelta(days=days) for days in (7, 30, 90, 365, 5)]


def deliver(world, ages, *, folder="INBOX", start=0):
    for number, days in enumerate(ages, start):
        received_at = NOW - timedelta(days=days, hours=1)
        world.theirs.deliver(number, folder=folder, received_at=received_at)


def tallies(world, is_active, instants=INSTANTS):
    with world.session() as session:
        look = session.look({}, is_active, now=world.now)
        followed = [folder for folder in look.folders if folder.id in look.followed]
        before = session.requests
        told = session.tallies(followed, instants)
        return told, session.requests - before


# ---- Gmail ----


def test_gmail_is_asked_once_for_each_stretch_of_time(gmail):
    deliver(gmail, [1, 6, 20, 40, 80, 100, 300, 400])
    told, requests = tallies(gmail, lambda _folder: True)
    assert [*told.values()] == [[Tally(2), Tally(3), Tally(5), Tally(7), Tally(1)]]
    assert requests == len(INSTANTS)


def test_gmail_is_not_listed_to_the_end_where_there_is_too_much(gmail, monkeypatch):
    monkeypatch.setattr(counting, "MOST_COUNTED", 3)
    deliver(gmail, [1, 6, 20, 40, 80, 100, 300, 400])
    told, requests = tallies(gmail, lambda _folder: True)
    more = Tally(3, more=True)
    assert [*told.values()] == [[Tally(2), Tally(3), more, more, Tally(1)]]
    assert requests == 3


def test_gmail_counts_no_mail_that_is_only_in_folders_left_out(gmail):
    gmail.theirs.create_folder("Deals")
    deliver(gmail, [1, 2])
    deliver(gmail, [1, 2, 3], folder="Deals", start=10)
    deliver(gmail, [1], folder="TRASH", start=20)
    told, _requests = tallies(gmail, lambda folder: folder.name == "Deals")
    (of_all,) = told.values()
    assert {tally.messages for tally in of_all} == {3}


# ---- Outlook ----


def test_outlook_is_asked_twenty_questions_at_once(outlook):
    outlook.theirs.create_folder("Deals")
    deliver(outlook, [1, 6, 20, 40])
    deliver(outlook, [2, 80, 400], folder="Deals", start=10)
    folders = outlook.folders()
    active = {folders[name].id for name in ("INBOX", "Deals", "Sent Items", "Archive")}
    told, requests = tallies(outlook, lambda folder: folder.id in active)
    assert set(told) == active
    assert told[folders["INBOX"].id] == [Tally(2), Tally(3), Tally(4), Tally(4), Tally(1)]
    assert told[folders["Deals"].id] == [Tally(1), Tally(1), Tally(2), Tally(2), Tally(1)]
    assert requests == 1

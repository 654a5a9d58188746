"""What changing mail over IMAP must never do, whatever the server can: take other mail along."""

import pytest

from shared.domain.change import ChangeFate
from shared.domain.errors import ErrorCode
from shared.providers.imap import changing, grammar, login
from shared.providers.imap.wire import Wire
from tests.contract.provider_worlds import on_imap
from tests.contract.test_changes import Here


@pytest.fixture
def here(mail_user):
    return Here(on_imap(mail_user))


@pytest.fixture
def without(monkeypatch):
    def hide(*names: bytes) -> None:
        monkeypatch.setattr(
            login.Session, "can", lambda self, one: one in self.capabilities - set(names)
        )

    return hide


@pytest.fixture
def commands(monkeypatch):
    """Every command that is written."""
    written: list[bytes] = []
    send = Wire._send

    def noting(self, commands, on_untagged):
        commands = list(commands)
        written.extend(commands)
        return send(self, commands, on_untagged)

    monkeypatch.setattr(Wire, "_send", noting)
    return written


def deleted_by_another_program(here, mail_user, number: int) -> None:
    """Mark a message as other programs do that expunge later."""
    uid = int(here.name(number).rsplit(".", 1)[1])
    mail_user.mail.set_flags([uid], ["\\Deleted"], "INBOX")


@pytest.mark.parametrize("hidden", [(), (b"MOVE",)])
def test_a_move_takes_along_no_mail_that_another_program_marked(
    here, mail_user, without, commands, hidden
):
    without(*hidden)
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1, 2, 3)
    here.look()
    deleted_by_another_program(here, mail_user, 2)
    before = here.name(1)
    outcome = here.apply(here.change(1, move_to=here.world.folder("Deals").id))[before]
    here.look("INBOX", "Deals")
    assert (here.world.numbers(), here.world.numbers("Deals")) == ({2, 3}, {1})
    assert outcome.provider_message_id == here.name(1)
    assert b"EXPUNGE" not in commands
    assert any(one.startswith(b"UID EXPUNGE") for one in commands) == bool(hidden)


def test_a_server_that_can_do_neither_moves_nothing(here, without):
    without(b"MOVE", b"UIDPLUS")
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1, 2)
    here.look()
    asked = here.change(1, move_to=here.world.folder("Deals").id)
    outcome = here.apply(asked, here.change(2, seen=True))[here.name(1)]
    assert (outcome.fate, outcome.code) == (ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED)
    here.look("INBOX", "Deals")
    assert (here.world.numbers(), here.world.numbers("Deals")) == ({1, 2}, set())
    assert here.flags(2).seen


def test_numbers_of_another_numbering_are_never_changed(here, commands):
    here.world.theirs.deliver(1, 2)
    here.look()
    folder_id, uidvalidity, uid = here.name(1).rsplit(".", 2)
    other = here.of_id(f"{folder_id}.{int(uidvalidity) + 1}.{uid}", seen=True, flagged=True)
    assert here.fates(other) == [ChangeFate.GONE]
    assert not any(one.startswith(b"UID STORE") for one in commands)
    here.look()
    assert not here.flags(1).seen


def test_a_folder_that_is_gone_has_nothing_to_be_changed(here):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1, folder="Deals")
    here.world.theirs.deliver(2)
    here.look("INBOX", "Deals")
    asked = [here.change(1, seen=True), here.change(2, seen=True)]
    here.world.theirs.delete_folder("Deals")
    assert here.fates(*asked) == [ChangeFate.GONE, ChangeFate.DONE]


def scripted(monkeypatch, command: bytes, answer: bytes) -> None:
    """Have the server answer one command as another server would."""
    until_done = Wire._read_until_done

    def read(self, pending, one):
        until_done(self, pending, one)
        if self.sent.get(one.tag, b"").startswith(command):
            one.status = grammar.status_text(one.tag + b" " + answer)

    send = Wire._send

    def noting(self, commands, on_untagged):
        commands = list(commands)
        pending = send(self, commands, on_untagged)
        tags = [answer.tag for answer in pending.answers]
        self.sent = {**getattr(self, "sent", {}), **dict(zip(tags, commands, strict=True))}
        return pending

    monkeypatch.setattr(Wire, "_send", noting)
    monkeypatch.setattr(Wire, "_read_until_done", read)


@pytest.mark.parametrize(
    ("answer", "fate", "code"),
    [
        (b"NO [NOPERM] no", ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED),
        (b"NO [OVERQUOTA] full", ChangeFate.LATER, ErrorCode.MAILBOX_FULL),
        (b"NO [INUSE] locked", ChangeFate.LATER, ErrorCode.PROVIDER_UNAVAILABLE),
        (b"NO something or other", ChangeFate.LATER, ErrorCode.PROVIDER_UNAVAILABLE),
    ],
)
def test_a_refused_command_is_the_outcome_of_what_it_named(here, monkeypatch, answer, fate, code):
    here.world.theirs.deliver(1, 2)
    here.look()
    asked = [here.change(1, flagged=True), here.change(2, seen=True)]
    scripted(monkeypatch, b"UID STORE %s +FLAGS.SILENT (\\Flagged)" % uid(here, 1), answer)
    outcomes = here.apply(*asked)
    refused = outcomes[here.name(1)]
    assert (refused.fate, refused.code) == (fate, code)
    assert outcomes[here.name(2)].fate is ChangeFate.DONE


def test_a_folder_opened_to_be_read_alone_refuses(here, monkeypatch):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1, 2)
    here.look()
    scripted(monkeypatch, b"SELECT", b"OK [READ-ONLY] opened")
    asked = [here.change(1, seen=True), here.change(2, move_to=here.world.folder("Deals").id)]
    outcomes = here.apply(*asked)
    assert {one.code for one in outcomes.values()} == {ErrorCode.CHANGE_REFUSED}
    here.look()
    assert here.world.numbers() == {1, 2}


def test_a_move_of_which_no_new_number_is_told_is_done_all_the_same(here, monkeypatch):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1)
    here.look()
    monkeypatch.setattr(changing, "_places_told", lambda _answers, _uids: {})
    before, deals = here.name(1), here.world.folder("Deals").id
    outcome = here.apply(here.change(1, move_to=deals))[before]
    assert (outcome.fate, outcome.provider_message_id) == (ChangeFate.DONE, None)
    assert outcome.folder_ids == {deals}
    here.look("INBOX", "Deals")
    assert here.world.numbers("Deals") == {1}


def uid(here, number: int) -> bytes:
    return here.name(number).rsplit(".", 1)[1].encode()


@pytest.mark.parametrize("step", [b"UID STORE %s +FLAGS.SILENT (\\Deleted)", b"UID EXPUNGE %s"])
def test_what_was_copied_and_is_not_taken_out_is_not_copied_again(here, monkeypatch, without, step):
    without(b"MOVE")
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1)
    here.look()
    scripted(monkeypatch, step % uid(here, 1), b"NO not now")
    outcome = here.apply(here.change(1, move_to=here.world.folder("Deals").id))[here.name(1)]
    assert (outcome.fate, outcome.code) == (ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED)


def test_a_server_on_which_nothing_is_deleted_copies_nothing(here, monkeypatch, without):
    without(b"MOVE")
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1)
    here.look()
    keeps = changing._Selected._keeps
    monkeypatch.setattr(
        changing._Selected, "_keeps", lambda self, flag: flag != b"\\Deleted" and keeps(self, flag)
    )
    asked = here.change(1, move_to=here.world.folder("Deals").id)
    assert here.apply(asked)[here.name(1)].code is ErrorCode.CHANGE_REFUSED
    here.look("INBOX", "Deals")
    assert (here.world.numbers(), here.world.numbers("Deals")) == ({1}, set())

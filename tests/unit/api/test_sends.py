"""Asking for mail: who may, from where, to whom, what it says, once; and who sees what became of it."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default

import pytest

from shared.config import settings
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.identity import thread_of
from shared.domain.ids import SendId
from shared.domain.mailbox import Alias, MailboxKind, MailboxStatus, Readers, Visibility
from shared.domain.message import StoredAttachment
from shared.domain.sending import RecipientStatus, SendStatus, with_outcome
from shared.operations.request_send import MOST_DAYS_AHEAD
from shared.ports.sending import SendRef
from tests.fakes.mail import add_mailbox, message_of, store

MAIL = {"to": [{"address": "cleo@client.example"}], "subject": "Offer", "text": "Dear Cleo"}
PDF = b"%PDF offer"
ADMIN = {"user": "root", "roles": "admin"}
NAMES = ("sends", "send_keys", "outgoing", "send_counts")


@pytest.fixture
def ann(app):
    box = add_mailbox(app.world, "ANN", address="ann@ours.example")
    box = replace(
        box,
        display_name="Ann Archer",
        aliases=(
            Alias("Sales@ours.example", "Ours Sales", app.clock.now()),
            Alias("ceo@ours.example"),
        ),
        former_addresses=("old.ann@ours.example",),
    )
    app.world.mailboxes[box.tenant_id, box.id] = box
    app.mailboxes.set_primary(box.tenant_id, box.owner_user_id, box.id)
    return box


def ask(app, *, key="key-1", user="ann", headers=None, **body):
    headers = {"idempotency-key": key} if headers is None else headers
    return app.ask("POST", "/v1/sends", body=MAIL | body, user=user, headers=headers)


def asked(app, **body):
    answer = ask(app, **body)
    assert answer.status == 202, answer.text
    return answer.json


def content_of(app, send) -> bytes:
    (content,) = (
        content for ref, content in app.world.outgoing.items() if ref.send_id == send["id"]
    )
    return content


def mail_of(app, send):
    return message_from_bytes(content_of(app, send), policy=default)


def refused(answer):
    assert answer.status == 400, answer.text
    assert answer.json["code"] == "invalid_request"
    return {one["field"]: one["message"] for one in answer.json["errors"]}


def written(app):
    """All that asking for a mail writes."""
    return repr((app.world.sends, app.world.outgoing, app.queues.sends))


def upload(app, content=PDF, *, filename="offer.pdf", user="ann"):
    body = {
        "filename": filename,
        "content_type": "application/pdf",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    answer = app.ask("POST", "/v1/uploads", body=body, user=user)
    assert answer.status == 201, answer.text
    upload_id = answer.json["upload_id"]
    (where,) = (one for one in app.uploads.announced if one[2] == upload_id)
    app.uploads.contents[where] = content
    return upload_id


# ---- what is sent ----


def test_a_mail_is_written_when_it_is_asked_for_and_queued(app, ann):
    send = asked(app, bcc=[{"address": "dan@ours.example", "name": "Dan"}], text="Grüße\r\n")
    mail = mail_of(app, send)
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "Ann Archer <ann@ours.example>", "cleo@client.example", "Offer",
    )  # fmt: skip
    assert mail["Message-ID"] == send["internet_message_id"]
    assert mail["Message-ID"].endswith("@ours.example>")
    assert mail["Date"].datetime == app.clock.now().replace(microsecond=0)
    assert mail.get_content().splitlines() == ["Grüße"]
    assert mail["Bcc"] is None
    assert mail["Reply-To"] is None
    assert b"dan@ours" not in content_of(app, send)
    shown = {name: send[name] for name in ("status", "kind", "from", "can_cancel", "message_id")}
    assert shown == {
        "status": "queued", "kind": "message", "from": "ann@ours.example", "can_cancel": True,
        "message_id": None,
    }  # fmt: skip
    assert [(one["address"], one["blind"], one["status"]) for one in send["recipients"]] == [
        ("cleo@client.example", False, "waiting"), ("dan@ours.example", True, "waiting"),
    ]  # fmt: skip
    ((request, delay),) = app.queues.sends
    assert (request.send_id, request.mailbox_id, delay) == (send["id"], "ANN", 0)
    (kept,) = app.world.sends["acme", "ANN"].values()
    assert kept.digest == hashlib.sha256(content_of(app, send)).hexdigest()
    assert kept.generation == ann.generation


def test_the_writer_s_signature_stands_below_unless_they_want_none(app, ann):
    app.ask("PUT", "/v1/signature", body={"text": "Ann, Ours Ltd"})
    app.ask("PUT", "/v1/signature", body={"text": "Bob"}, user="bob")
    text = mail_of(app, asked(app)).get_content()
    assert text.split() == ["Dear", "Cleo", "--", "Ann,", "Ours", "Ltd"]
    unsigned = mail_of(app, asked(app, key="2", signature=False)).get_content()
    assert unsigned.split() == ["Dear", "Cleo"]


def test_an_own_alias_is_sent_from_under_its_name_and_the_mailbox_s_reply_to(app, ann):
    box = replace(ann, reply_to="desk@ours.example")
    app.world.mailboxes["acme", "ANN"] = box
    mail = mail_of(app, asked(app, **{"from": {"address": "sales@ours.example"}}))
    assert mail["From"] == "Ours Sales <Sales@ours.example>"
    assert mail["Reply-To"] == "desk@ours.example"
    assert mail["Message-ID"].endswith("@ours.example>")
    given = {"from": {"name": "Annie"}, "reply_to": {"address": "me@Bücher.example"}}
    mail = mail_of(app, asked(app, key="2", **given))
    assert mail["From"] == "Annie <ann@ours.example>"
    assert mail["Reply-To"] == "me@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "address",
    ["ceo@ours.example", "old.ann@ours.example", "dan@ours.example", "no address", "",
     "ann@ours.example\r\nBcc: x@y.example"],
)  # fmt: skip
def test_nobody_sends_as_anybody_else(app, ann, address):
    before = written(app)
    answer = ask(app, **{"from": {"address": address}})
    if address:
        assert (answer.status, answer.json["code"]) == (403, "sender_not_verified")
    else:
        assert refused(answer) == {"from.address": "This must not be empty."}
    assert written(app) == before


def test_each_recipient_is_one_over_all_fields_with_its_domain_in_ascii(app, ann):
    send = asked(
        app,
        to=[{"address": "Cleo@Client.example", "name": "Cleo"}, {"address": "cleo@client.example"}],
        cc=[{"address": "max@Bücher.example"}, {"address": "CLEO@client.example"}],
        bcc=[{"address": "max@xn--bcher-kva.example"}, {"address": "dan@ours.example"}],
    )
    assert [(one["address"], one["blind"]) for one in send["recipients"]] == [
        ("Cleo@client.example", False), ("max@xn--bcher-kva.example", False),
        ("dan@ours.example", True),
    ]  # fmt: skip
    mail = mail_of(app, send)
    assert (mail["To"], mail["Cc"]) == ("Cleo <Cleo@client.example>", "max@xn--bcher-kva.example")


def party(address, name=""):
    return [{"address": address, "name": name}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to": []}, "to"),
        ({"to": None}, "to"),
        ({"to": party("cleo@client.example\r\nBcc: eve@evil.example")}, "to.0.address"),
        ({"cc": party("cleo")}, "cc.0.address"),
        ({"bcc": party("a@b@c.example")}, "bcc.0.address"),
        ({"to": party("cleo@client.example", "Cleo\r\nBcc: eve@evil.example")}, "to.0.name"),
        ({"to": party("cleo@client.example", "Cleo\0")}, "to.0.name"),
        ({"subject": "Offer\r\nBcc: eve@evil.example"}, "subject"),
        ({"subject": "x" * 999}, "subject"),
        ({"text": "a\0b"}, "text"),
        ({"html": "<p>\x1b</p>"}, "html"),
        ({"text": "x" * 1_000_001}, "text"),
        ({"reply_to": {"address": "me@ours.example\nX: y"}}, "reply_to.address"),
        ({"reply_to": {"address": "me"}}, "reply_to.address"),
        ({"from": {"name": "Ann\r\nX: y"}}, "from.name"),
        ({"from": {"name": "CEO <ceo@ours.example>"}}, "from.name"),
        ({"from": {"name": "ceo@ours.example"}}, "from.name"),
        ({"from": {"name": "CEO\uff1cceo\uff20ours.example\uff1e"}}, "from.name"),
        ({"from": {"address": "sales@ours.example", "name": "ann@ours.example"}}, "from.name"),
        ({"subject": "", "text": ""}, "text"),
        ({"send_at": "2026-03-01"}, "send_at"),
        ({"undo_seconds": 301}, "undo_seconds"),
        ({"undo_seconds": -1}, "undo_seconds"),
        ({"urgent": True}, "urgent"),
        ({"answers": {"message_id": "x", "kind": "test"}}, "answers.kind"),
        ({"attachments": [{"upload_id": "x", "content_id": "a>\r\n"}]}, "attachments.0.content_id"),
        ({"attachments": [{"upload_id": "x", "inline": True}]}, "attachments.0.content_id"),
        ({"to": [{"address": f"c{n}@client.example"} for n in range(101)]}, "to"),
    ],
)
def test_what_no_mail_can_have_is_refused_by_field_and_nothing_is_written(app, ann, body, field):
    before = written(app)
    fields = refused(ask(app, **body))
    assert set(fields) == {field}
    assert "evil" not in json.dumps(fields)
    assert written(app) == before


@pytest.mark.parametrize("name", ["Ann @ Ours", "ANN@ours.example", "Ann (Ours)", ""])
def test_what_the_sender_is_called_is_theirs_to_say(app, ann, name):
    mail = mail_of(app, asked(app, **{"from": {"name": name}}))
    assert mail["From"].addresses[0].display_name == name


@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\v", "\f", "\u2028", "\u2029"])
def test_a_line_may_break_as_programs_break_it(app, ann, line_break):
    mail = mail_of(app, asked(app, text=f"one{line_break}two"))
    assert mail.get_content().splitlines() == ["one", "two"]
    answer = app.ask("PUT", "/v1/signature", body={"text": f"Ann{line_break}Ours"})
    assert answer.json["text"] == "Ann\nOurs"


def test_what_cannot_stand_in_a_text_is_told_with_its_place(app, ann):
    assert "U+0007, character 3" in refused(ask(app, text="ab\a\0"))["text"]


def test_letters_few_servers_take_before_the_at_are_refused_in_their_words(app, ann):
    answer = ask(app, to=[*party("müller@client.example"), *party("cleo@client.example")])
    assert (answer.status, answer.json["code"]) == (400, "address_not_supported")
    assert [one["field"] for one in answer.json["errors"]] == ["to.0.address"]


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 201, "a\x00"])
def test_a_key_of_another_form_is_refused_by_its_header_s_name(app, ann, key):
    assert set(refused(ask(app, key=key))) == {"idempotency-key"}


def test_without_a_key_it_is_refused_by_the_header_s_name(app, ann):
    assert refused(ask(app, headers={})) == {"idempotency-key": "This is required."}


# ---- once ----


def test_the_same_request_again_is_the_same_send_also_once_it_was_sent(app, ann):
    first = asked(app)
    before = written(app)
    assert asked(app) == first
    # What is left out is what it would be anyway.
    assert asked(app, cc=None, bcc=[], undo_seconds=0, signature=True) == first
    assert written(app) == before
    ref = SendRef("acme", "ANN", first["id"])
    send = app.sends.take(ref, now=app.clock.now(), seconds=60)
    sent = replace(send, status=SendStatus.SENT, sent_at=app.clock.now(), attempt_ends_at=None)
    app.sends.write(sent, now=app.clock.now())
    app.world.mailboxes["acme", "ANN"] = replace(ann, status=MailboxStatus.DISCONNECTED)
    again = asked(app)
    assert (again["id"], again["status"], again["can_cancel"]) == (first["id"], "sent", False)


def test_another_request_under_the_same_key_is_refused(app, ann):
    asked(app)
    before = written(app)
    for body in ({"subject": "Other"}, {"undo_seconds": 1}, {"mailbox_id": "ANN"}):
        answer = ask(app, **body)
        assert (answer.status, answer.json["code"]) == (409, "key_reused")
    assert written(app) == before


def test_a_key_is_its_user_s_and_its_tenant_s(app, ann):
    box = add_mailbox(app.world, "BOB", owner="bob")
    app.mailboxes.set_primary(box.tenant_id, box.owner_user_id, box.id)
    assert asked(app)["id"] != asked(app, user="bob")["id"]


def test_a_mail_that_is_kept_was_taken_on_whatever_the_queue_says(app, ann):
    app.queues.failure = RetryLaterError(ErrorCode.STORE_THROTTLED)
    send = asked(app)
    (kept,) = app.world.sends["acme", "ANN"].values()
    assert (kept.id, kept.comes_up_at) == (send["id"], app.clock.now())


def test_what_a_cap_refuses_leaves_nothing_behind(app, ann, monkeypatch):
    monkeypatch.setenv("MAILROOM_SENDS_OF_MAILBOX_A_MINUTE", "1")
    settings.cache_clear()
    asked(app)
    before = written(app)
    answer = ask(app, key="2")
    settings.cache_clear()
    assert (answer.status, answer.json["code"]) == (429, "send_limit_reached")
    assert int(answer.headers["Retry-After"]) == 60
    assert answer.json["limit"] == "mailbox_a_minute"
    assert written(app) == before


@pytest.mark.parametrize("same_body", [True, False])
def test_of_two_that_ask_at_once_under_one_key_one_is_kept(app, ann, same_body):
    first = asked(app)
    before = written(app)
    look, blind = app.sends.find, iter([True])
    # The second one looks before the first is kept.
    app.sends.find = lambda *asked: None if next(blind, False) else look(*asked)
    answer = ask(app, subject="Offer" if same_body else "Other")
    assert answer.status == (202 if same_body else 409)
    assert answer.json.get("id") == (first["id"] if same_body else None)
    assert written(app) == before


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("victim", ["put", "create", "send_sends"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_dying_between_any_two_steps_and_asked_again_is_one_send(
    app, ann, monkeypatch, victim, when
):
    port = {"put": app.outgoing, "create": app.sends, "send_sends": app.queues}[victim]
    method = getattr(port, victim)

    def dies(*args, **kwargs):
        if when == "after":
            method(*args, **kwargs)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(port, victim, dies)
        with pytest.raises(KilledError):
            ask(app)
    app.clock.advance(30)
    send = asked(app)
    (kept,) = app.world.sends["acme", "ANN"].values()
    assert kept.id == send["id"]
    # Whoever was queued, or comes up, finds its content.
    assert app.outgoing.get(SendRef("acme", "ANN", kept.id), kept.digest) is not None
    assert {request.send_id for request, _ in app.queues.sends} <= {kept.id}


# ---- when ----


@pytest.mark.parametrize(
    ("undo", "ahead", "delay"),
    [(0, None, 0), (20, None, 20), (300, None, 300), (0, 900, 900), (30, 10, 30), (0, -60, 0),
     (0, 901, None), (10, 86_400, None)],
)  # fmt: skip
def test_it_is_due_at_its_time_and_not_before_the_time_to_undo_it_is_over(
    app, ann, undo, ahead, delay
):
    now = app.clock.now()
    at = {} if ahead is None else {"send_at": (now + timedelta(seconds=ahead)).isoformat()}
    send = asked(app, undo_seconds=undo, **at)
    (kept,) = app.world.sends["acme", "ANN"].values()
    assert kept.due_at == now + timedelta(seconds=max(undo, ahead or 0, 0))
    assert mail_of(app, send)["Date"].datetime == kept.due_at.replace(microsecond=0)
    assert [each for _, each in app.queues.sends] == ([] if delay is None else [delay])


def test_no_further_ahead_than_is_kept(app, ann):
    limit = app.clock.now() + timedelta(days=MOST_DAYS_AHEAD)
    asked(app, send_at=limit.isoformat())
    late = (limit + timedelta(seconds=1)).isoformat()
    assert set(refused(ask(app, key="2", send_at=late))) == {"send_at"}


# ---- from where ----


def test_by_default_it_leaves_from_the_primary(app, ann):
    add_mailbox(app.world, "AAA")
    assert asked(app)["mailbox_id"] == "ANN"
    assert asked(app, key="2", mailbox_id="AAA")["mailbox_id"] == "AAA"


@pytest.mark.parametrize(
    "status", [None, *(one for one in MailboxStatus if one is not MailboxStatus.ACTIVE)]
)
def test_without_a_primary_that_can_send_one_has_to_be_named(app, ann, status):
    user = "ann" if status else "bob"
    if status:
        app.world.mailboxes["acme", "ANN"] = replace(ann, status=status)
    answer = ask(app, user=user)
    assert (answer.status, answer.json["code"]) == (409, "no_mailbox_to_send_from")
    if status:
        answer = ask(app, mailbox_id="ANN")
        assert (answer.status, answer.json["code"]) == (409, "wrong_state")
    assert written(app) == repr(({}, {}, []))


def test_who_chose_no_primary_sends_from_the_only_active_mailbox_they_own(app):
    def says(key):
        answer = ask(app, key=key, user="bob")
        return answer.json.get("mailbox_id") or answer.json["code"]

    desk = {"kind": MailboxKind.SHARED, "granted_to": Readers(("bob",))}
    add_mailbox(app.world, "DESK", owner="cyd", **desk)
    down = add_mailbox(app.world, "DOWN", owner="bob")
    app.world.mailboxes["acme", "DOWN"] = replace(down, status=MailboxStatus.RECONNECT_REQUIRED)
    assert says("1") == "no_mailbox_to_send_from"
    add_mailbox(app.world, "BOB", owner="bob")
    assert says("2") == "BOB"
    add_mailbox(app.world, "BOB2", owner="bob")
    assert says("3") == "no_mailbox_to_send_from"


def test_a_shared_mailbox_sends_for_those_it_is_granted_to_and_nobody_else(app, ann):
    add_mailbox(
        app.world, "DESK", owner="cyd", kind=MailboxKind.SHARED, granted_to=Readers(("bob",))
    )
    assert asked(app, user="bob", mailbox_id="DESK")["user_id"] == "bob"
    assert ask(app, mailbox_id="DESK").json["code"] == "mailbox_not_found"
    answer = app.ask(
        "POST", "/v1/sends", body=MAIL | {"mailbox_id": "DESK"}, **ADMIN,
        headers={"idempotency-key": "k"},
    )  # fmt: skip
    assert (answer.status, answer.json["code"]) == (403, "owner_required")


# ---- attachments ----


def test_what_was_uploaded_goes_along_and_pictures_stand_in_the_html(app, ann):
    offer, logo = upload(app), upload(app, b"\x89PNG", filename="Zeichen ü.png")
    send = asked(
        app,
        html='<p>Dear Cleo</p><img src="cid:logo">',
        attachments=[
            {"upload_id": offer},
            {"upload_id": logo, "inline": True, "content_id": "logo"},
        ],
    )
    mail = mail_of(app, send)
    parts = {
        part.get_filename(): (
            part.get_content_disposition(),
            part["Content-ID"],
            part.get_content(),
        )
        for part in mail.walk()
        if part.get_filename()
    }
    assert parts == {
        "offer.pdf": ("attachment", None, PDF),
        "Zeichen ü.png": ("inline", "<logo>", b"\x89PNG"),
    }


@pytest.mark.parametrize("fate", ["never", "replaced", "another's", "gone"])
def test_a_file_that_is_not_what_was_announced_stops_the_mail(app, ann, fate):
    upload_id = upload(app, user="bob" if fate == "another's" else "ann")
    (where,) = app.uploads.contents
    if fate == "replaced":
        app.uploads.contents[where] = b"%PDF 0ffer"
    elif fate in {"never", "gone"}:
        del app.uploads.contents[where]
    before = written(app)
    answer = ask(app, attachments=[{"upload_id": upload_id}])
    assert (answer.status, answer.json["code"]) == (404, "upload_not_found")
    assert answer.json["errors"][0]["field"] == "attachments.0.upload_id"
    assert written(app) == before


def test_what_is_too_large_for_a_mail_is_refused_before_it_is_kept(app, ann, monkeypatch):
    from shared.domain import capabilities

    small = replace(capabilities.CAPABILITIES[ann.provider], largest_mail=20_000)
    monkeypatch.setitem(capabilities.CAPABILITIES, ann.provider, small)
    before = written(app)
    many = [{"upload_id": upload(app, bytes([n]) * 5_000)} for n in range(3)]
    for body in ({"attachments": many}, {"text": "ä" * 20_000}):
        answer = ask(app, **body)
        assert (answer.status, answer.json["code"]) == (422, "mail_too_large")
    assert written(app) == before
    asked(app, attachments=many[:2])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": 0}, "size"),
        ({"size": 18 * 1024 * 1024 + 1}, "size"),
        ({"size": "10"}, "size"),
        ({"sha256": "abc"}, "sha256"),
        ({"sha256": base64.b64encode(hashlib.sha256(PDF).digest()).decode()}, "sha256"),
        ({"filename": "a\r\nb"}, "filename"),
        ({"filename": " "}, "filename"),
        ({"content_type": "text/plain; charset=x"}, "content_type"),
        ({"content_type": "text/plain\r\nX: y"}, "content_type"),
    ],
)
def test_what_no_upload_can_be_is_refused_by_field(app, change, field):
    body = {"filename": "a.pdf", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    answer = app.ask("POST", "/v1/uploads", body=body | change)
    assert set(refused(answer)) == {field}
    assert app.uploads.announced == {}


# ---- answers ----


@pytest.fixture
def offer(app, ann):
    message = message_of(
        "a",
        to=("ann@ours.example", "max@client.example"),
        cc=("dan@ours.example",),
        subject="Offer",
    )
    message = replace(
        message, internet_message_id="a@client.example", references=("root@client.example",)
    )
    return store(app.world, ann, message)


def answering(message, kind="reply", **more):
    return {
        "to": None, "subject": None,
        "answers": {"message_id": message.id, "kind": kind, **more},
    }  # fmt: skip


def test_a_reply_begins_as_the_message_says_and_is_on_its_thread(app, ann, offer):
    send = asked(app, **answering(offer, "reply_all"))
    mail = mail_of(app, send)
    assert (mail["To"], mail["Cc"]) == (
        "Cleo <cleo@client.example>", "max@client.example, dan@ours.example",
    )  # fmt: skip
    assert mail["Subject"] == "Re: Offer"
    assert mail["In-Reply-To"] == "<a@client.example>"
    assert mail["References"] == "<root@client.example> <a@client.example>"
    assert (send["kind"], send["answers"]) == ("reply_all", offer.id)
    shown = app.ask("GET", f"/v1/messages/{offer.id}/answer?kind=reply_all").json
    assert (shown["mailbox_id"], shown["from"], shown["subject"]) == (
        "ANN", "ann@ours.example", "Re: Offer",
    )  # fmt: skip
    assert [one["address"] for one in (*shown["to"], *shown["cc"])] == [
        one["address"] for one in send["recipients"]
    ]
    said = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert said.startswith("Dear Cleo\n\nOn ")
    assert said.endswith(shown["quoted_text"])
    assert shown["quoted_text"].endswith("\n> Hello\n")
    unquoted = mail_of(app, asked(app, key="2", **answering(offer, quote=False)))
    assert unquoted.get_content().strip() == "Dear Cleo"


def test_who_answers_may_name_others_and_call_it_otherwise(app, ann, offer):
    named = {"to": party("eve@client.example"), "subject": "Our offer"}
    send = asked(app, **answering(offer, "reply_all") | named)
    mail = mail_of(app, send)
    assert (mail["To"], mail["Cc"], mail["Subject"]) == ("eve@client.example", None, "Our offer")
    assert mail["In-Reply-To"] == "<a@client.example>"


def test_what_an_answer_begins_with_is_shown_for_the_mailbox_it_is_to_leave_from(app, ann, desk):
    message = replace(
        message_of("n", to=("ann@ours.example", "desk@ours.example")),
        internet_message_id="n@client.example",
    )
    for box in (ann, desk):
        store(app.world, box, message)
    target = f"/v1/messages/{message.id}/answer?kind=reply_all"
    for key, mailbox_id, other in (("1", "ANN", "desk@"), ("2", "DESK", "ann@")):
        shown = app.ask("GET", f"{target}&mailbox_id={mailbox_id}").json
        send = asked(app, key=key, mailbox_id=mailbox_id, **answering(message, "reply_all"))
        people = [one["address"] for one in (*shown["to"], *shown["cc"])]
        assert people == [one["address"] for one in send["recipients"]]
        assert (shown["mailbox_id"], shown["from"]) == (mailbox_id, send["from"])
        assert (f"{other}ours.example" in people) == (mailbox_id == "ANN")
    assert app.ask("GET", f"{target}&mailbox_id=never").json["code"] == "mailbox_not_found"


def test_a_message_gone_from_its_provider_is_answered_from_what_is_stored(app, ann):
    message = replace(message_of("gone"), internet_message_id="gone@client.example")
    store(app.world, ann, message, removed=True)
    mail = mail_of(app, asked(app, **answering(message)))
    assert mail["In-Reply-To"] == mail["References"] == "<gone@client.example>"


def test_an_answer_leaves_from_a_mailbox_that_holds_the_message_the_primary_first(app, ann, offer):
    other = add_mailbox(app.world, "AAA", address="info@ours.example")
    desk = add_mailbox(
        app.world, "AAAA", owner="cyd", kind=MailboxKind.SHARED, granted_to=Readers(("ann",)),
        visibility=Visibility.FULL,
    )  # fmt: skip
    for key, boxes, expected in (
        ("1", [other, desk, ann], "ANN"), ("2", [desk, other], "AAA"), ("3", [desk], "AAAA"),
    ):  # fmt: skip
        message = replace(
            message_of(f"m{key}", to=("list@client.example",)),
            internet_message_id=f"m{key}@client.example",
        )
        for box in boxes:
            store(app.world, box, message)
        send = asked(app, key=key, **answering(message))
        assert send["mailbox_id"] == expected


def held(app, *boxes, **people):
    """A message that these mailboxes hold."""
    message = replace(message_of("held", **people), internet_message_id="held@client.example")
    for box in boxes:
        store(app.world, box, message)
    return message


def begun(app, message, kind="reply", **body):
    """(From, To, Cc) of an answer, which are the ones that were shown before."""
    shown = app.ask("GET", f"/v1/messages/{message.id}/answer?kind={kind}").json
    mail = mail_of(app, asked(app, **answering(message, kind) | body))
    begins = [
        [one.addr_spec for one in (mail[name].addresses if mail[name] else ())]
        for name in ("From", "To", "Cc")
    ]
    if not body:
        assert [shown["from"]] == begins[0]
        assert [[one["address"] for one in shown[name]] for name in ("to", "cc")] == begins[1:]
    return begins


@pytest.mark.parametrize(
    "odd", ["jörg@client.example", "x@[192.0.2.1]", '"odd one"@client.example', "no address"]
)
def test_one_odd_address_in_a_strangers_mail_stops_nobody_s_answer(app, ann, odd):
    message = held(app, ann, to=(ANNS,), cc=(odd, "dan@x.example"))
    assert begun(app, message, "reply_all") == [[ANNS], [CLEO], ["dan@x.example"]]
    shown = app.ask("GET", f"/v1/messages/{message.id}/answer?kind=reply_all").json
    assert [one["address"] for one in shown["left_out"]] == [odd]
    assert app.ask("GET", f"/v1/messages/{message.id}/answer").json["left_out"] == []
    # Named by the caller it is refused, and the field is theirs.
    typed = answering(message, "reply_all") | {"cc": party(odd)}
    answer = ask(app, key="2", **typed)
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (
        400, ["cc.0.address"],
    )  # fmt: skip


def test_where_nobody_can_be_answered_somebody_has_to_be_named(app, ann):
    message = held(app, ann, sender="jörg@client.example", to=(ANNS,))
    shown = app.ask("GET", f"/v1/messages/{message.id}/answer").json
    assert (shown["to"], shown["left_out"][0]["address"]) == ([], "jörg@client.example")
    fields = refused(ask(app, **answering(message)))
    assert set(fields) == {"to"}
    assert "left out" in fields["to"]
    assert asked(app, **answering(message) | {"to": party(CLEO)})


ANNS, SALES, DESK, CLEO = (
    "ann@ours.example", "Sales@ours.example", "desk@ours.example", "cleo@client.example",
)  # fmt: skip


@pytest.mark.parametrize(
    ("people", "sender"),
    [
        ({"to": ("sales@ours.example",)}, SALES),
        ({"to": ("dan@x.example",), "cc": ("sales@ours.example", ANNS)}, SALES),
        ({"to": (ANNS,), "cc": ("sales@ours.example",)}, ANNS),
        # Nobody sends from what is not verified, or was theirs formerly.
        ({"to": ("ceo@ours.example",), "cc": ("sales@ours.example",)}, SALES),
        ({"to": ("ceo@ours.example",)}, ANNS),
        ({"to": ("old.ann@ours.example",), "cc": ("sales@ours.example",)}, ANNS),
        ({"to": ("list@x.example",)}, ANNS),
        # What they wrote as somebody they go on with as the same.
        ({"sender": "sales@ours.example", "to": (CLEO,), "cc": (ANNS,)}, SALES),
    ],
)
def test_an_answer_leaves_as_whom_the_message_names(app, ann, people, sender):
    message = held(app, ann, **people)
    [[begins], to, _] = begun(app, message)
    assert (begins, to) == (sender, [CLEO])
    named = {"from": {"address": ANNS}}
    assert begun(app, message, **named, key="2")[0] == [ANNS]
    assert begun(app, message, mailbox_id="ANN", key="3")[0] == [sender]


@pytest.mark.parametrize(
    ("people", "kind", "begins"),
    [
        ({"sender": DESK, "to": (ANNS,)}, "reply", ([ANNS], [DESK], [])),
        ({"sender": DESK, "to": (CLEO,), "cc": (ANNS,)}, "reply", ([ANNS], [DESK], [])),
        ({"sender": DESK, "to": (CLEO,), "cc": (ANNS,)}, "reply_all", ([ANNS], [DESK], [CLEO])),
        ({"to": (ANNS, DESK)}, "reply_all", ([ANNS], [CLEO], [DESK])),
        # What is the desk's is answered by the desk, whoever else was given a copy.
        ({"to": (DESK,)}, "reply_all", ([DESK], [CLEO], [])),
        ({"sender": ANNS, "to": (DESK,), "cc": (CLEO,)}, "reply_all", ([ANNS], [DESK], [CLEO])),
    ],
)
def test_a_mailbox_that_others_read_too_is_not_the_writer(app, ann, desk, people, kind, begins):
    assert begun(app, held(app, ann, desk, **people), kind) == [*begins]
    app.world.mailboxes["acme", "DESK"] = replace(desk, owner_user_id="ann")
    assert begun(app, held(app, ann, desk, **people), kind, key="2") == [*begins]


def test_another_mailbox_of_the_writer_s_own_is_never_answered_to(app, ann):
    other = add_mailbox(app.world, "AAA", address="info@ours.example")
    message = held(app, ann, other, to=(ANNS, "info@ours.example", "dan@x.example"))
    assert begun(app, message, "reply_all") == [[ANNS], [CLEO], ["dan@x.example"]]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (MailboxStatus.RECONNECT_REQUIRED, "has to be reconnected before it can send"),
        (MailboxStatus.DISCONNECTED, "is disconnected"),
    ],
)
def test_nobody_answers_as_somebody_else_without_saying_so(app, ann, desk, caplog, status, why):
    message = held(app, desk, to=(DESK,))
    app.world.mailboxes["acme", "DESK"] = replace(desk, status=status)
    before = written(app)
    answers = [
        ask(app, **answering(message)),
        app.ask("GET", f"/v1/messages/{message.id}/answer?kind=reply"),
    ]
    for answer in answers:
        assert (answer.status, answer.json["code"]) == (409, "wrong_state")
        assert answer.json["detail"] == f"The mailbox {DESK} {why}."
    assert written(app) == before
    assert DESK not in caplog.text
    # They may say so, and another one that holds it is no one else.
    assert begun(app, message, mailbox_id="ANN")[0] == [ANNS]
    assert begun(app, held(app, ann, to=(DESK,)), key="2")[0] == [ANNS]


@pytest.mark.parametrize("user", ["bob", "root"])
def test_what_is_not_seen_in_full_is_answered_by_nobody_and_as_if_it_were_not(app, offer, user):
    box = add_mailbox(app.world, "BOB", owner=user)
    app.mailboxes.set_primary(box.tenant_id, box.owner_user_id, box.id)
    never = replace(offer, id=offer.id[:-1] + "9")
    who = {"user": user, "roles": "admin" if user == "root" else ""}
    answers = []
    for message in (offer, never):
        for kind in ("reply", "forward"):
            body = MAIL | {"answers": {"message_id": message.id, "kind": kind}}
            headers = {"idempotency-key": "k"}
            sent = app.ask("POST", "/v1/sends", body=body, headers=headers, **who)
            shown = app.ask("GET", f"/v1/messages/{message.id}/answer?kind={kind}", **who)
            answers += [(one.status, one.text) for one in (sent, shown)]
    assert len(set(answers)) == 1
    assert answers[0][0] == 404
    assert "message_not_found" in answers[0][1]


def with_file(app, ann, *, html="<p>Hello</p>", **changes):
    part = StoredAttachment("plan.pdf", "application/pdf", len(PDF), digest="d" * 64)
    message = message_of("file", attachments=(replace(part, **changes),))
    message = replace(message, internet_message_id="file@client.example")
    store(app.world, ann, message, html=html)
    (kept,) = (one for one in app.world.messages.values() if one.id == message.id)
    holder = min(kept.copies)
    app.world.attachments["acme", holder, "d" * 64] = PDF
    return message


def test_no_file_of_a_stranger_s_leaves_in_an_answer_that_quotes_them(app, ann):
    html = '<p>Hi<img src="cid:e@x" width="1"></p>'
    message = with_file(app, ann, html=html, content_id="e@x", inline=True)
    send = asked(app, **answering(message) | {"text": None, "html": "<p>Thanks</p>"})
    assert not [part for part in mail_of(app, send).walk() if part.get_filename()]


def test_what_is_passed_on_takes_its_attachments_along(app, ann):
    message = with_file(app, ann)
    to = {"to": party("eve@client.example")}
    mail = mail_of(app, asked(app, **answering(message, "forward") | to))
    assert [(part.get_filename(), part.get_content()) for part in mail.iter_attachments()] == [
        ("plan.pdf", PDF)
    ]
    assert (mail["Subject"], mail["In-Reply-To"]) == ("Fwd: Offer", None)
    without = answering(message, "forward", forward_attachments=False) | to
    assert not list(mail_of(app, asked(app, key="2", **without)).iter_attachments())
    assert set(refused(ask(app, key="3", **answering(message, "forward")))) == {"to"}


@pytest.mark.parametrize("fate", ["not kept", "gone"])
def test_what_was_not_kept_is_not_left_out_in_silence(app, ann, fate):
    message = with_file(
        app, ann, **({"digest": None, "missing": "x"} if fate == "not kept" else {})
    )
    app.world.attachments.clear()
    before = written(app)
    answer = ask(app, **answering(message, "forward") | {"to": party("eve@client.example")})
    assert (answer.status, answer.json["code"]) == (404, "attachment_not_found")
    assert "plan.pdf" in answer.json["errors"][0]["message"]
    assert written(app) == before


# ---- who sees what ----


def see(app, send, **who):
    return app.ask("GET", f"/v1/mailboxes/{send['mailbox_id']}/sends/{send['id']}", **who)


def listed(app, mailbox_id, **who):
    return app.ask("GET", f"/v1/mailboxes/{mailbox_id}/sends", **who)


@pytest.fixture
def desk(app):
    return add_mailbox(
        app.world, "DESK", owner="cyd", kind=MailboxKind.SHARED, visibility=Visibility.FULL,
        granted_to=Readers(("ann", "bob")),
    )  # fmt: skip


BLIND = {"bcc": [{"address": "dan@ours.example"}], "mailbox_id": "DESK"}


def test_whom_a_mail_goes_to_blindly_is_its_writer_s_and_its_mailbox_s_owner_s(app, desk):
    send = asked(app, **BLIND)
    for user, number in (("ann", 2), ("cyd", 2), ("bob", 1)):
        shown = see(app, send, user=user).json
        assert len(shown["recipients"]) == number, user
        assert ("dan@" in json.dumps(shown)) == (number == 2)
        assert shown["subject"] == "Offer"
        assert shown["can_cancel"] == (user != "bob")
        assert listed(app, "DESK", user=user).json["items"] == [shown]


@pytest.mark.parametrize("visibility", [Visibility.METADATA, Visibility.SUBJECT])
def test_a_mailbox_s_level_holds_for_its_sends(app, desk, visibility):
    app.world.mailboxes["acme", "DESK"] = replace(desk, visibility=visibility)
    send = asked(app, **BLIND, attachments=[{"upload_id": upload(app)}])
    seen = {user: see(app, send, user=user).json for user in ("ann", "cyd", "bob")}
    shows = {user: (one["subject"], one["files"]) for user, one in seen.items()}
    whole = ("Offer", ["offer.pdf"])
    of_bob = ("Offer" if visibility is Visibility.SUBJECT else None, [])
    assert shows == {"ann": whole, "cyd": whole, "bob": of_bob}


@pytest.mark.parametrize("level", ["metadata", "subject"])
def test_a_thread_s_level_holds_for_sends_that_answer_it_and_those_on_it(app, ann, desk, level):
    message = replace(message_of("s1", subject="Merger"), internet_message_id="s1@client.example")
    store(app.world, desk, message)
    body = {"level": level, "mailbox_id": "DESK"}
    target = f"/v1/threads/{thread_of(message.id)}/visibility"
    assert app.ask("PUT", target, body=body, user="cyd").status == 200
    answer = asked(app, key="a", user="cyd", mailbox_id="DESK", **answering(message))
    filed = asked(app, key="b", user="cyd", mailbox_id="DESK", subject="Re: Merger")
    sends = app.world.sends["acme", "DESK"]
    sends[filed["id"]] = replace(sends[filed["id"]], message_id=message.id)
    other = asked(app, key="c", user="cyd", mailbox_id="DESK")
    for send, of_bob in (
        (answer, None if level == "metadata" else "Re: Merger"),
        (filed, None if level == "metadata" else "Re: Merger"),
        (other, "Offer"),
    ):
        assert see(app, send, user="bob").json["subject"] == of_bob
        assert see(app, send, user="cyd").json["subject"] == send["subject"]
    shown = {one["id"]: one for one in listed(app, "DESK", user="bob").json["items"]}
    assert shown == {one["id"]: see(app, one, user="bob").json for one in (answer, filed, other)}


def test_whoever_wrote_it_sees_and_cancels_it_also_once_the_mailbox_is_not_theirs(app, desk):
    send = asked(app, undo_seconds=300, **BLIND)
    app.world.mailboxes["acme", "DESK"] = replace(desk, granted_to=Readers(("bob",)))
    assert see(app, send).json == send
    assert listed(app, "DESK").status == 404
    assert cancel(app, send).json["status"] == "cancelled"
    assert app.world.outgoing == {}


@pytest.mark.parametrize("who", [{"user": "eve"}, ADMIN, {"user": "cyd", "tenant": "other"}])
def test_for_all_others_there_is_no_such_send(app, desk, who):
    send = asked(app, **BLIND)
    never = send | {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    target = "/v1/mailboxes/DESK/sends/{}/cancel"
    for answer, unknown in (
        (see(app, send, **who), see(app, never, **who)),
        (app.ask("POST", target.format(send["id"]), **who),
         app.ask("POST", target.format(never["id"]), **who)),
    ):  # fmt: skip
        assert (answer.status, answer.text) == (unknown.status, unknown.text)
        assert answer.status == 404
    answer = listed(app, "DESK", **who)
    # An administrator sees every mailbox, and of its mail nothing.
    assert answer.json["items"] == [] if who == ADMIN else answer.status == 404
    assert see(app, send).json["status"] == "queued"


def test_sends_are_listed_by_the_page_newest_first(app, ann):
    sends = []
    for number in range(3):
        app.clock.advance(1)
        sends.insert(0, asked(app, key=f"k{number}")["id"])
    first = app.ask("GET", "/v1/mailboxes/ANN/sends?limit=2").json
    rest = app.ask("GET", "/v1/mailboxes/ANN/sends", query={"next": first["next"]}).json
    assert [one["id"] for one in (*first["items"], *rest["items"])] == sends
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("status", "numbers"),
    [("queued", [3, 1]), ("cancelled", [2, 0]), ("queued,cancelled", [3, 2, 1, 0]), ("sent", [])],
)
def test_those_of_a_status_are_listed_by_pages_of_what_is_looked_at(
    app, ann, monkeypatch, status, numbers
):
    monkeypatch.setattr("shared.operations.read_sends.MOST_LOOKED_AT", 3)
    sends = []
    for number in range(4):
        app.clock.advance(1)
        sends.append(asked(app, key=f"k{number}")["id"])
        if number % 2 == 0:
            app.sends.cancel(SendRef("acme", "ANN", sends[-1]), now=app.clock.now())
    for limit in (1, 2, 3):
        query, shown = {"status": status, "limit": str(limit)}, []
        while query.get("next", True):
            page = app.ask("GET", "/v1/mailboxes/ANN/sends", query=query).json
            assert len(page["items"]) <= limit
            shown += page["items"]
            query["next"] = page["next"]
        assert [one["id"] for one in shown] == [sends[number] for number in numbers]


def test_a_status_there_is_not_is_refused_by_name(app, ann):
    answer = app.ask("GET", "/v1/mailboxes/ANN/sends", query={"status": "queued,gone"})
    assert set(refused(answer)) == {"status.1"}


def test_a_send_tells_all_it_takes_to_address_it_again(app, ann):
    send = asked(
        app, to=party("cleo@client.example", "Cleo"), cc=party("max@client.example", "Max"),
        bcc=party("dan@ours.example", "Dan"), attachments=[{"upload_id": upload(app)}],
        html='<img src="cid:x">', undo_seconds=30,
    )  # fmt: skip
    fields = ("field", "address", "name", "status")
    addressed = [
        ("to", "cleo@client.example", "Cleo", "waiting"),
        ("cc", "max@client.example", "Max", "waiting"),
        ("bcc", "dan@ours.example", "Dan", "waiting"),
    ]
    assert [tuple(one[name] for name in fields) for one in send["recipients"]] == addressed
    assert send["files"] == ["offer.pdf"]
    assert see(app, send).json == send
    after = cancel(app, send).json
    assert [tuple(one[name] for name in fields) for one in after["recipients"]] == [
        (*one[:3], "cancelled") for one in addressed
    ]
    assert after["files"] == send["files"]


def test_what_went_wrong_is_said_of_the_mail_and_of_each_recipient(app, ann):
    send = asked(app, cc=party("dan@ours.example"))
    ref = SendRef("acme", "ANN", send["id"])
    taken = app.sends.take(ref, now=app.clock.now(), seconds=60)
    refused_one = {"dan@ours.example": (RecipientStatus.REFUSED, ErrorCode.RECIPIENT_FULL)}
    at = app.clock.now() + timedelta(minutes=2)
    waits = replace(
        with_outcome(taken, refused_one), status=SendStatus.QUEUED, attempt_ends_at=None,
        next_try_at=at, code=ErrorCode.RATE_LIMITED,
    )  # fmt: skip
    app.sends.write(waits, now=app.clock.now())
    shown = see(app, send).json
    assert shown["cause"]["code"] == "rate_limited"
    assert (shown["cause"]["acts"], shown["next_try_at"] is not None) == ("time", True)
    causes = {one["address"]: one["cause"] for one in shown["recipients"]}
    assert causes["cleo@client.example"] is None
    assert causes["dan@ours.example"]["code"] == "recipient_full"
    assert causes["dan@ours.example"]["message"]
    assert causes["dan@ours.example"]["fix"]


def test_an_unknown_send_is_said_so(app, ann):
    assert see(app, {"mailbox_id": "ANN", "id": "none"}).json["code"] == "send_not_found"


# ---- calling it off ----


def cancel(app, send, **who):
    target = f"/v1/mailboxes/{send['mailbox_id']}/sends/{send['id']}/cancel"
    return app.ask("POST", target, **who)


@pytest.mark.parametrize("user", ["ann", "cyd"])
def test_who_wrote_it_or_owns_the_mailbox_cancels_it_and_its_content_goes(app, desk, user):
    send = asked(app, undo_seconds=30, **BLIND)
    for _ in range(2):
        answer = cancel(app, send, user=user)
        assert (answer.status, answer.json["status"]) == (200, "cancelled")
        assert answer.json["can_cancel"] is False
    assert app.world.outgoing == {}
    assert asked(app, undo_seconds=30, **BLIND)["status"] == "cancelled"


def test_a_colleague_who_sees_it_cannot_cancel_it(app, desk):
    send = asked(app, **BLIND)
    answer = cancel(app, send, user="bob")
    assert (answer.status, answer.json["code"]) == (403, "owner_required")
    assert see(app, send).json["status"] == "queued"


def test_what_a_worker_has_is_too_late_to_cancel_and_keeps_its_content(app, ann):
    send = asked(app)
    app.sends.take(SendRef("acme", "ANN", SendId(send["id"])), now=app.clock.now(), seconds=60)
    answer = cancel(app, send)
    assert (answer.status, answer.json["code"]) == (409, "too_late")
    assert content_of(app, send)
    assert see(app, send).json["can_cancel"] is False

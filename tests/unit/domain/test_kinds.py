"""What kind of message each is, old ones included of which only types and headers are known."""

from dataclasses import replace

import pytest

from shared.domain.contents import Delivery, DeliveryReport, Picture, Sealed
from shared.domain.kinds import delivery_report_of, invite_of, kinds_of
from shared.domain.message import StoredAttachment
from tests.fakes.mail import message_of

FAILED = DeliveryReport((Delivery("a@b.example", "delivered"), Delivery("c@b.example", "failed")))
DELAYED = DeliveryReport((Delivery("a@b.example", "delayed"),))


def kinds(*parts, sender="cleo@client.example", snippet="words", **headers):
    attachments = tuple(
        StoredAttachment(name, content_type, 1, seen=seen) for name, content_type, seen in parts
    )
    message = replace(
        message_of("a", sender=sender, attachments=attachments),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        snippet=snippet,
    )
    return set(kinds_of(message))


def test_plain_words_are_of_no_kind():
    assert kinds() == set()
    assert kinds(("a.png", "image/png", Picture("image/png")), precedence="bulk") == set()
    assert kinds(auto_submitted="no") == set()


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (("invite.ics", "text/calendar", None), "calendar"),
        (("a.ics", "application/ics", None), "calendar"),
        (("smime.p7s", "application/pkcs7-signature", None), "signed"),
        (("a.asc", "application/pgp-signature", None), "signed"),
        (("smime.p7m", "application/pkcs7-mime", Sealed(is_encrypted=False)), "signed"),
        (("smime.p7m", "application/pkcs7-mime", Sealed(is_encrypted=True)), "encrypted"),
        (("smime.p7m", "application/x-pkcs7-mime", None), "encrypted"),
        (("a", "application/pgp-encrypted", None), "encrypted"),
        (("x.bin", "application/ms-tnef", None), "tnef"),
        (("WINMAIL.DAT", "application/octet-stream", None), "tnef"),
        (("a", "message/disposition-notification", None), "read_receipt"),
    ],
)
def test_attachments_tell_the_kind(part, kind):
    assert kinds(part) == {kind}


def test_pgp_in_the_text_is_told():
    assert kinds(snippet="-----BEGIN PGP MESSAGE----- x") == {"encrypted"}
    assert kinds(snippet="-----BEGIN PGP SIGNED MESSAGE----- x") == {"signed"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"auto_submitted": "Auto-Replied; owner-email=x"}, {"auto_reply"}),
        ({"auto_submitted": "auto-generated"}, {"automatic"}),
        ({"x_autoreply": "yes"}, {"auto_reply"}),
        ({"precedence": "auto_reply"}, {"auto_reply"}),
        ({"list_id": "<l.example>", "auto_submitted": "auto-generated"}, {"automatic", "list"}),
        ({"precedence": "list"}, {"list"}),
        ({"x_failed_recipients": "a@b.example"}, {"bounce"}),
    ],
)
def test_headers_tell_the_kind(headers, found):
    assert kinds(**headers) == found


def test_a_bounce_is_what_says_that_something_did_not_arrive():
    status = ("a", "message/delivery-status")
    sent_by_itself = {"auto_submitted": "auto-replied", "return_path": "<>"}
    server = {"sender": "mailer-daemon@mx.example"} | sent_by_itself
    assert kinds((*status, FAILED), **server) == {"delivery_report", "bounce"}
    assert kinds((*status, DELAYED), **server) == {"delivery_report"}
    assert kinds((*status, None), **server) == {"delivery_report", "bounce"}
    assert kinds(**server) == {"bounce"}
    assert kinds(**sent_by_itself) == {"auto_reply"}
    assert kinds(sender="mailer-daemon@mx.example") == set()


def test_the_first_of_each_is_told():
    message = message_of("a", attachments=(StoredAttachment("a", "b/c", 1, seen=DELAYED),))
    assert delivery_report_of(message) == DELAYED
    assert invite_of(message) is None

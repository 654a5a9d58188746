"""Decides what lies in the demo mailbox: a year of a small company's mail, the same every time.

About 300 messages, dated back from ``now``: conversations with five customers (some filed into
an Archive subfolder), newsletters, notices, several languages and legacy character sets, bounces,
auto-replies, junk, trash, and mail that breaks the rules.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.local.demo_corpus import bulk, odd
from infra.local.demo_corpus.attachments import make_attachment
from infra.local.demo_corpus.compose import Draft, as_html, quote, write
from infra.local.demo_corpus.conversations import CONVERSATIONS, PRODUCTS, SMALL_TALK
from infra.local.demo_corpus.people import ADA, COMPANY, CONTACTS, GRACE, DemoContact, Person

if TYPE_CHECKING:
    from infra.local.demo_corpus.conversations import Conversation, Line
    from infra.local.dovecot_mail import StoredMail

ADDRESS = ADA.address
ARCHIVE = "Archive/Projects"
OLDEST_DAYS = 350
_SEED = 2026
_CONVERSATIONS_EACH = (12, 9, 8, 7, 6)
_UNREAD_DAYS = 3
_ARCHIVED_AFTER_DAYS = 150
_WITH_HTML = 0.6
_WITH_COLLEAGUE = 0.1


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """A message and where it lies.

    Attributes:
        folder: the name on the server, ``/`` between levels.
        raw: its bytes.
        flags: IMAP flags.
        internal_date: when it arrived, UTC.
        kind: what it shows: thread, small talk, newsletter, notice, legacy: …, broken: …
    """

    folder: str
    raw: bytes
    flags: tuple[str, ...]
    internal_date: dt.datetime
    kind: str


def demo_contacts() -> list[DemoContact]:
    """Return the customers whose mail is in the mailbox, the most talkative first."""
    return list(CONTACTS)


def build(now: dt.datetime, *, seed: int = _SEED) -> list[DemoMessage]:
    """Return the whole mailbox as of ``now``, oldest first; the same for the same ``now``.

    Args:
        now: aware; nothing is dated after it, and nothing 351 days before it.
        seed: another one gives another mailbox of the same company and the same customers.
    """
    lot = random.Random(seed)
    end = now.astimezone(dt.UTC).replace(microsecond=0)
    made = [
        *_conversations(lot, end),
        *_small_talk(lot, end),
        *_bulk(lot, end),
        *_odd(lot, end),
    ]
    return sorted(made, key=lambda message: message.internal_date)


def load(mail: StoredMail, messages: list[DemoMessage]) -> None:
    """Store the messages on a server, folder by folder."""
    for folder in sorted({message.folder for message in messages}):
        mail.append_many(
            folder,
            [
                (message.raw, message.flags, message.internal_date)
                for message in messages
                if message.folder == folder
            ],
        )


def _conversations(lot: random.Random, end: dt.datetime) -> list[DemoMessage]:
    made: list[DemoMessage] = []
    for contact, count in zip(CONTACTS, _CONVERSATIONS_EACH, strict=True):
        scripts = lot.sample(CONVERSATIONS, count)
        for number, script in enumerate(scripts):
            # The first of each customer is of these days, the others lie back evenly.
            back = lot.uniform(2, 6) if number == 0 else OLDEST_DAYS * number / count
            back = min(back + lot.uniform(0, 12), OLDEST_DAYS)
            start = end - dt.timedelta(minutes=int(back * 24 * 60))
            made += _thread(lot, contact, script, start, end)
    return made


def _thread(
    lot: random.Random,
    contact: DemoContact,
    script: Conversation,
    start: dt.datetime,
    end: dt.datetime,
) -> list[DemoMessage]:
    slots = _slots(lot, start)
    subject = script.subject.format(**slots)
    archived = (end - start).days > _ARCHIVED_AFTER_DAYS and lot.choice((True, False))
    drafts: list[Draft] = []
    made: list[DemoMessage] = []
    date = start
    # A thread that would reach past now is still going on: its last lines are not written yet.
    for line in script.lines:
        date += dt.timedelta(minutes=lot.randint(25, 2400))
        if date > end:
            break
        filled = replace(line, text=line.text.format(**slots))
        drafts.append(_reply(lot, contact, filled, subject, date, before=drafts))
        answered = len(drafts) < len(script.lines)
        made.append(_placed(drafts[-1], line, end, archived=archived, answered=answered))
    return made


def _reply(
    lot: random.Random,
    contact: DemoContact,
    line: Line,
    subject: str,
    date: dt.datetime,
    *,
    before: list[Draft],
) -> Draft:
    customer = Person(contact.name, lot.choice(contact.addresses))
    sender, to = (customer, ADA) if line.by_customer else (ADA, customer)
    signature = f"{contact.name}\n{contact.company}" if line.by_customer else f"Ada\n{COMPANY}"
    greeting = "Dear Ada," if line.by_customer else f"Dear {contact.name},"
    words = f"{greeting}\n\n{line.text}"
    quoted = ""
    if before:
        words_before = before[-1].text.partition("\n\nOn ")[0]
        quoted = quote(words_before, before[-1].sender, before[-1].date)
    text = f"{words}\n\n-- \n{signature}" + (f"\n\n{quoted}" if quoted else "")
    attachments = []
    if line.attachment:
        attachments.append(make_attachment(line.attachment, lot.randint(1, 99_999), date.date()))
    return Draft(
        key=f"{contact.contact_id} {subject} {len(before)}",
        sender=sender,
        to=(to,),
        cc=(GRACE,) if lot.random() < _WITH_COLLEAGUE else (),
        subject=f"Re: {subject}" if before else subject,
        text=text,
        date=date,
        html_body=as_html(words, quoted, signature) if lot.random() < _WITH_HTML else "",
        references=[draft.message_id for draft in before],
        attachments=attachments,
    )


def _placed(
    draft: Draft, line: Line, end: dt.datetime, *, archived: bool, answered: bool
) -> DemoMessage:
    if not line.by_customer:
        return DemoMessage("Sent", write(draft), ("\\Seen",), draft.date, "thread")
    flags = _flags_by_age(draft.date, end)
    if flags and answered:
        flags += ("\\Answered",)
    if draft.attachments:
        flags += ("\\Flagged",)
    return DemoMessage(ARCHIVE if archived else "INBOX", write(draft), flags, draft.date, "thread")


def _small_talk(lot: random.Random, end: dt.datetime) -> list[DemoMessage]:
    made = []
    for contact in CONTACTS:
        for subject, text in SMALL_TALK[contact.language]:
            date = end - dt.timedelta(minutes=lot.randint(300, 86_400))
            signed = f"{text}\n\n{contact.name}\n{contact.company}"
            draft = Draft(f"talk {subject}", contact.person, (ADA,), subject, signed, date)
            flags = _flags_by_age(date, end)
            made.append(DemoMessage("INBOX", write(draft), flags, date, "small talk"))
            if contact.language != "en" and len(made) % 2:
                note = bulk.auto_reply(
                    len(made), contact.person, date + dt.timedelta(minutes=4), draft.message_id
                )
                after = date + dt.timedelta(minutes=4)
                made.append(DemoMessage("INBOX", note, ("\\Seen",), after, "auto-reply"))
    return made


def _bulk(lot: random.Random, end: dt.datetime) -> list[DemoMessage]:
    made = []
    for number in range(42):
        date = _moment(lot, end)
        folder = "Trash" if number % 6 == 0 else "INBOX"
        raw = bulk.newsletter(number, date)
        made.append(DemoMessage(folder, raw, _flags_by_age(date, end), date, "newsletter"))
    for number in range(30):
        date = _moment(lot, end)
        folder = "Trash" if number % 10 == 0 else "INBOX"
        raw = bulk.notice(number, date)
        made.append(DemoMessage(folder, raw, ("\\Seen",), date, "notice"))
    for number in range(12):
        date = end - dt.timedelta(minutes=lot.randint(150, 43_200))
        made.append(DemoMessage("Junk", bulk.junk(number, date), (), date, "junk"))
    for number in range(4):
        date = _moment(lot, end)
        made.append(DemoMessage("INBOX", bulk.bounce(number, date), ("\\Seen",), date, "bounce"))
    return made


def _odd(lot: random.Random, end: dt.datetime) -> list[DemoMessage]:
    made = []
    makers = [(f"legacy: {what}", maker) for what, maker in odd.legacy_messages()]
    makers += [(f"broken: {what}", maker) for what, maker in odd.broken_messages()]
    for kind, maker in makers:
        date = _moment(lot, end)
        made.append(DemoMessage("INBOX", maker(date), _flags_by_age(date, end), date, kind))
    return made


def _slots(lot: random.Random, start: dt.datetime) -> dict[str, object]:
    quantity = lot.randrange(6, 80, 2)
    amount = quantity * lot.randrange(60, 240)
    return {
        "product": lot.choice(PRODUCTS),
        "quantity": quantity,
        "amount": f"{amount:,}",
        "discounted": f"{round(amount * 0.96):,}",
        "order": f"LR-{lot.randrange(10_000, 99_999)}",
        "year": start.year,
    }


def _moment(lot: random.Random, end: dt.datetime) -> dt.datetime:
    return end - dt.timedelta(minutes=lot.randint(60, (OLDEST_DAYS - 10) * 24 * 60))


def _flags_by_age(date: dt.datetime, end: dt.datetime) -> tuple[str, ...]:
    return () if end - date < dt.timedelta(days=_UNREAD_DAYS) else ("\\Seen",)

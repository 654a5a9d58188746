"""What worlds must agree in of mail that left, and what is taken out of that, each for a reason.

- when it was asked for, tried and sent, how often, and everything that follows from that: its Date,
  its Message-ID and digest, its ids here and at its provider, its place in time on its timeline;
  whether a time is set, or an id known, stays
- in which minute and on which day it is counted: how much is counted stays
- the content of mails: a worker that dies once all is done leaves it to the bucket's lifecycle, and
  so does who dies before a mail is written down; while a mail waits its digest says what it must be
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.aws.packing import unpack
from shared.aws.send_items import send_of
from shared.aws.stored_objects import ATTACHMENTS, of_copy
from shared.aws.tables_of_counts import CountItem
from shared.aws.tables_of_sends import SEND_PREFIX, SendItem
from shared.domain.identity import thread_named
from shared.domain.mailbox import MailboxStatus
from shared.domain.sending import Send

_OF_ITS_LIFE = {"d": {"i", "t", "m", "w"}, "copy": {"n", "r", "date_sk"}, "message": {"r"}}
_MESSAGE_PREFIX = "message#"


def sends_in(items: Sequence[Any]) -> list[Send]:
    """Return every mail that was asked for, the first one first."""
    found = [
        send_of(SendItem.from_raw_data(raw))
        for raw in items
        if raw["sk"]["S"].startswith(SEND_PREFIX)
    ]
    return sorted(found, key=lambda one: one.id)


def mails_stored(items: Sequence[Any]) -> list[str]:
    """Return the subject of every message of ours that is on a timeline."""
    found = [unpack(raw["d"]["B"]) for raw in items if _is_message(raw)]
    return [one["s"] for one in found if one["d"] == "outbound"]


def disconnected(items: Sequence[Any]) -> set[str]:
    """Return the mailboxes that are: nothing more is stored of theirs."""
    states = [raw for raw in items if raw["sk"]["S"].endswith("#state") and "status" in raw]
    return {
        raw["sk"]["S"].split("#")[1]
        for raw in states
        if raw["status"]["S"] == MailboxStatus.DISCONNECTED
    }


def _is_message(raw: Any) -> bool:
    return raw["sk"]["S"].startswith(_MESSAGE_PREFIX) and "d" in raw


def names_of_mails(items: Sequence[Any]) -> dict[str, str]:
    """Return a name for each id that a mail has only since it was sent, by its subject."""
    named: dict[str, str] = {}
    sends = sends_in(items)
    for send in sends:
        about = send.subject
        if send.provider_message_id:
            holder = f"{send.mailbox_id}/{send.provider_message_id}"
            files = of_copy(ATTACHMENTS, send.tenant_id, holder).split("/")[-2]
            named |= {send.provider_message_id: f"copy of {about}", files: f"files of {about}"}
    subjects = {one.subject: one.tenant_id for one in sends}
    for raw in items if sends else ():
        if _is_message(raw):
            document = unpack(raw["d"]["B"])
            about = document["s"]
            if document["d"] == "outbound" and about in subjects:
                named[raw["sk"]["S"].removeprefix(_MESSAGE_PREFIX)] = f"mail {about}"
                named[thread_named(subjects[about], document["m"])] = f"thread of {about}"
    return named


def timeless(kind: str, raw: Mapping[str, Any], mails: Mapping[str, str]) -> Mapping[str, Any]:
    """Return an item without what of it depends on when a mail left, where it is of one."""
    if kind not in {"copy", "message", "at"}:
        return raw
    sort_key = raw["sk"]["S"]
    about = raw["m"]["S"] if kind == "copy" else sort_key.split("#")[2 if kind == "at" else 1]
    if about not in mails:
        return raw
    if kind == "at":
        return {**raw, "sk": {"S": f"at#then#{about}#"}}
    kept = {name: value for name, value in raw.items() if name not in _OF_ITS_LIFE[kind]}
    if "d" in kept and kind == "message":
        document = unpack(kept["d"]["B"])
        kept["d"] = {name: document[name] for name in document.keys() - _OF_ITS_LIFE["d"]}
    return kept


def read_send(raw: Any) -> Any:
    """Return what of a send must be the same in every life."""
    send = send_of(SendItem.from_raw_data(raw))
    return {
        "what": [send.user_id, send.kind, send.sender, send.subject, send.size, send.answers],
        "who": [[one.address, one.status, one.code] for one in send.recipients],
        "blind": list(send.blind),
        "status": [send.status, send.code, send.reply],
        "comes up": send.comes_up_at is not None,
        "sent": send.sent_at is not None,
        "filed": send.filed_at is not None,
    }


def read_send_key(raw: Any) -> Any:
    """Return for which request a key was used."""
    return raw["body_digest"]["S"]


def read_sent(raw: Any) -> Any:
    """Return how much was counted."""
    return int(CountItem.from_raw_data(raw).number)

"""What two worlds must agree in: all that is durable, without what differs from life to life.

What is taken out, and why; whatever is not named here is compared as it stands.

- times, versions, fences, generations: an interrupted life takes longer and writes more often;
  whether a time is set stays
- ulids: made anew in every life; mailboxes and backfills are named by their place
- runs: an interrupted one leaves none or another; of all together the ids that were not stored and
  why must agree, and each must account for what it listed
- `stored` and `already_stored` are one count: what a run that died had stored is there already
- how many flags, moves and removals a backfill's second look met: it depends on when it looked
- a slot of the tenant's that nobody holds, and which of them one held: they are drawn by lot
- a lease whose time is over: it is nobody's, and the next run with something to do takes it
- who is moving a login until when: what has become of it is compared
- sign-ins that were broken off: they end by themselves, and a person begins a new one
- notes of what is about to be written: a worker that died leaves its own, and erasing reads them
- how many contacts were to be made in a day: it is counted before they are, and again by the next
- objects under `.uploads/`: parts of an upload that died, which the bucket's lifecycle deletes
- an account's grant, text for text: each sign-in and renewal makes another; whether the one we keep
  opens the account must agree, and whether any is left alive where it can be withdrawn
- how many erasures a person was asked for: who dies before the answer asks again. What all of them
  deleted must agree; the hashes they keep are made with a key of each life's own
- when a provider's words last asked for runs
- until when nobody may write an erased message again
- what of a mail that left depends on when it left: see `fingerprint_of_sends.py`
- the position of a Gmail cursor in time and the text of a Graph delta link: both hold the minute
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from shared.aws.packing import unpack
from shared.aws.stored_objects import OUTGOING
from shared.aws.tables import ContactItem, FolderItem, RunItem, SettingsItem, StateItem
from shared.aws.tables_of_added_addresses import AddedItem
from shared.aws.tables_of_audits import AuditItem, SettledItem
from shared.aws.tables_of_backfills import BackfillItem, ChunkItem
from shared.aws.tables_of_erasures import ErasureItem, KeptOutItem
from shared.aws.tables_of_logins import LoginItem
from shared.aws.tables_of_openings import OpeningItem
from shared.aws.tables_of_push import ListenerItem
from shared.aws.tables_of_sign_ins import HoldersItem
from shared.aws.tables_of_slots import SlotItem
from tests.faults.fingerprint_of_sends import (
    names_of_mails,
    read_send,
    read_send_key,
    read_sent,
    timeless,
)
from tests.faults.killpoints import kind_of
from tests.faults.world import World, objects
from tests.functions.everything import places_of

_ULID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")
KEPT = {"stored", "already_stored"}
SETTINGS_TIMES = {"connected_at", "history_from"}
FLEETING = {"attempt", "writing", "made"}
"""Items that are a life's own: a sign-in broken off, a note of what was about to be written, how many
contacts were to be made in a day."""

Fingerprint = dict[str, Any]


def fingerprint(world: World) -> Fingerprint:
    """Return everything durable of a world."""
    items = world.items()
    mails = names_of_mails(items)
    names = _names(items) | mails
    found: dict[str, list[Any]] = {}
    ledger: dict[str, set[str]] = {}
    unbalanced = 0
    for stored in items:
        raw = stored
        partition = raw["pk"]["S"].rpartition("#")[2]
        kind = PARTITIONS.get(partition) or kind_of(raw["sk"]["S"])
        if raw["pk"]["S"].startswith("#push#"):
            kind = "listener"
        if raw["pk"]["S"].endswith("#erasures") and kind.startswith("mailbox "):
            kind = "erasure of a mailbox"
        if kind in FLEETING or (kind == "slot" and not _is_held(raw, world.clock.at)):
            continue
        if kind == "run":
            unbalanced += _add_run(RunItem.from_raw_data(raw), ledger)
            continue
        if kind == "settled":
            for one in unpack(SettledItem.from_raw_data(raw).ids):
                ledger.setdefault(one, set()).add(kind)
            continue
        raw = timeless(kind, raw, mails)
        value = _state(raw, world.clock.at) if kind == "mailbox state" else _read(kind, raw)
        place = [] if kind in NAMELESS else [raw["pk"]["S"], raw["sk"]["S"]]
        found.setdefault(kind, []).append(_renamed([*place, value], names))
    return {
        **{kind: sorted(values, key=_text) for kind, values in found.items()},
        "erasure": _together(found.get("erasure", [])),
        "words": _places(world.facts.get("words", ())),
        "ledger": {_renamed(one, names): sorted(fates) for one, fates in sorted(ledger.items())},
        "unbalanced runs": unbalanced,
        "objects": {
            _renamed(name, names): hashlib.sha256(value).hexdigest()
            for name, value in objects().items()
            if "/.uploads/" not in name and not name.startswith(f"{OUTGOING}/")
        },
        "secrets": {
            _renamed(name, names): world.read_secret(text)
            for name, text in world.secret_texts().items()
        },
        "waiting": Counter(one.queue for one in world.waiting),
        "dead letters": len(world.dead_letters),
        "theirs": world.theirs(),
    }


def differences(expected: Fingerprint, found: Fingerprint) -> list[str]:
    """Return in which parts two fingerprints differ, in few words."""
    told = []
    for part in sorted(expected.keys() | found.keys()):
        before, after = expected.get(part), found.get(part)
        if before == after:
            continue
        if isinstance(before, list) or isinstance(after, list):
            before, after = before or [], after or []
            missing = [one for one in before if one not in after]
            extra = [one for one in after if one not in before]
            told.append(f"{part}: missing {missing}, extra {extra}")
        else:
            told.append(f"{part}: {before} became {after}")
    return told


def _names(items: list[dict[str, Any]]) -> dict[str, str]:
    """Return a name for every mailbox and backfill: its place among its kind."""
    ids: dict[str, list[str]] = {"mailbox": [], "backfill": []}
    for raw in items:
        kind, *rest = raw["sk"]["S"].split("#")
        if kind == "mailbox" and rest[-1] == "state":
            ids["mailbox"].append(rest[0])
        elif kind == "backfill":
            ids["backfill"].append(rest[0])
    return {
        one: f"{kind} {number}"
        for kind, found in ids.items()
        for number, one in enumerate(sorted(found), 1)
    }


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        for one, name in names.items():
            if one in value:
                value = value.replace(one, name)
        return _ULID.sub("a ulid", value)
    if isinstance(value, dict):
        return {_renamed(name, names): _renamed(one, names) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    return value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _add_run(run: RunItem, ledger: dict[str, set[str]]) -> int:
    """Add a run's ledger to all runs'; return 1 where its sums do not account for what it listed."""
    for fate, ids in (unpack(run.ledger) if run.ledger else {}).items():
        for one in ids:
            if fate not in KEPT:
                ledger.setdefault(one, set()).add(fate)
    counts = run.counts
    named = ("stored", "already_stored", "unreadable", "gone", "failed")
    settled = sum(counts.get(name, 0) for name in named) + sum(counts.get("skipped", {}).values())
    return int(settled != counts.get("listed", 0))


def _counts(counts: dict[str, Any]) -> dict[str, Any]:
    together = {name: count for name, count in counts.items() if name not in KEPT}
    # What a second look finds changed depends on when it was taken, and a worker that died has not
    # counted the contacts it made.
    for name in ("flags_changed", "moved", "removed", "contacts_made"):
        together.pop(name, None)
    return {**together, "kept": sum(counts.get(name, 0) for name in KEPT)}


def _settings(raw: Any) -> Any:
    item = SettingsItem.from_raw_data(raw)
    return {
        **{name: value for name, value in item.document.items() if name not in SETTINGS_TIMES},
        "identity": item.identity,
    }


def _state(raw: Any, now: datetime) -> Any:
    item = StateItem.from_raw_data(raw)
    # One whose time is over is nobody's; the next run that has something to do takes it over.
    leased = item.lease_expires_at is not None and item.lease_expires_at > now
    return {
        "status": item.status,
        "failures": item.failures,
        "scheduled": item.due_slot is not None and item.due_key is not None,
        "leased": leased,
        "suspect": (item.suspect, item.strikes),
        "somebody waits": item.waited_for is not None,
        "has synced": item.last_synced_at is not None,
        "waits": item.not_before is not None and item.not_before > now,
        "inbound": (item.inbound_error or {}).get("code"),
        "outbound": (item.outbound_error or {}).get("code"),
    }


def _folder(raw: Any) -> Any:
    item = FolderItem.from_raw_data(raw)
    kept = (item.folder_id, item.name, item.role, item.selectable, item.scope)
    return [*kept, _position(item.cursor), item.gone_at is not None]


def _position(cursor: str | None) -> Any:
    if cursor is None:
        return None
    if cursor.startswith("outlook:"):
        # Sealed with the time at which it was given, and another text each time.
        return "a delta link"
    return re.sub(r'"taken_at":\d+', "", cursor)


def _backfill(raw: Any) -> Any:
    item = BackfillItem.from_raw_data(raw)
    return {
        "days": item.days,
        "state": item.state,
        "chunks": (item.chunks, item.released, item.done, item.planned),
        "counts": _counts(item.counts),
        "ended": item.ended_at is not None,
        "waits": item.waiting_until is not None,
        "code": item.code,
        "open": (item.due_slot is not None, item.due_key is not None),
    }


def _chunk(raw: Any) -> Any:
    item = ChunkItem.from_raw_data(raw)
    kept = (item.number, item.folder_id, item.state, unpack(item.ids))
    return [*kept, item.lease_owner, item.suspect, item.strikes]


def _contact(raw: Any) -> Any:
    if "merged_into" in raw:
        return raw["merged_into"]
    item = ContactItem.from_raw_data(raw)
    kept = [item.contact_id, item.name, item.addresses, item.attributes, item.merged]
    return [*kept, item.made_from_mail]


def _added(raw: Any) -> Any:
    return sorted(AddedItem.from_raw_data(raw).addresses or ())


def _holders(raw: Any) -> Any:
    return len(HoldersItem.from_raw_data(raw).mailboxes or ())


def _audit(raw: Any) -> Any:
    document = AuditItem.from_raw_data(raw).document
    numbers = {name: value for name, value in document.items() if isinstance(value, int)}
    return {**numbers, "repaired": document["repair_id"] is not None}


def _is_held(raw: Any, now: datetime) -> bool:
    item = SlotItem.from_raw_data(raw)
    return item.lease_expires_at is not None and item.lease_expires_at > now


def _slot(_raw: Any) -> Any:
    return "held"


def _copy(raw: Any) -> Any:
    return {name: value for name, value in raw.items() if name != "x"} | {"removed": "x" in raw}


def _entry(raw: Any) -> Any:
    start, _, _ = raw["sk"]["S"].rpartition("#")
    ref = raw.get("c", {}).get("S")  # None: it is of no copy
    return [raw["pk"]["S"], start, ref, sorted(raw["p"]["SS"])]


def _message(raw: Any) -> Any:
    # What stays of an erased one, until a time.
    return raw if "z" not in raw else sorted(raw)


def _erasure(raw: Any) -> Any:
    item = ErasureItem.from_raw_data(raw)
    asked = [item.kind, item.state, item.mailbox_id, item.keeps_out, len(item.address_hashes)]
    return [asked, item.addresses, item.done_at is not None, item.erased]


def _together(erasures: list[Any]) -> Any:
    """Return what erasures asked for alike have deleted together; a mailbox has one alone."""
    sums: dict[str, Counter[str]] = {}
    for ((*asked, erased),) in erasures:
        sums.setdefault(_text(asked), Counter()).update(erased)
    mailboxes = sum(one[0][0] == "mailbox" for (one,) in erasures)
    return {**{asked: dict(numbers) for asked, numbers in sums.items()}, "mailboxes": mailboxes}


def _kept_out(raw: Any) -> Any:
    return sorted(until == 0 for until in KeptOutItem.from_raw_data(raw).until.values())


def _places(words: Iterable[str]) -> dict[str, list[str]]:
    """Return in which kinds of places a world's own words are found."""
    return {
        word: sorted({place.partition(" ")[0] for place in places})
        for word, places in places_of(*words).items()
    }


def _read(kind: str, raw: Any) -> Any:
    reader = READERS.get(kind)
    return reader(raw) if reader else raw


def _login(raw: Any) -> Any:
    # What it says is among the secrets.
    item = LoginItem.from_raw_data(raw)
    return {"is a copy": bool(item.is_copy), "has another": bool(item.has_other)}


def _pair(_raw: Any) -> Any:
    return "a pair"


def _listener(raw: Any) -> Any:
    # When runs were asked for is a life's own.
    item = ListenerItem.from_raw_data(raw)
    return [item.tenant_id, item.mailbox_id, item.proof, item.watch]


def _opening(raw: Any) -> Any:
    item = OpeningItem.from_raw_data(raw)
    return [item.opened_by, item.reason, item.ends_at is not None]


READERS = {
    "mailbox settings": _settings,
    "folder": _folder,
    "backfill": _backfill,
    "chunk": _chunk,
    "contact record": _contact,
    "added addresses": _added,
    "copy": _copy,
    "holders": _holders,
    "slot": _slot,
    "audit": _audit,
    "listener": _listener,
    "login": _login,
    "pair": _pair,
    "message": _message,
    "at": _entry,
    "erasure": _erasure,
    "kept-out": _kept_out,
    "opening": _opening,
    "send": read_send,
    "key": read_send_key,
    "sent": read_sent,
}
NAMELESS = {"added addresses", "at", "erasure", "holders", "sent", "slot"}
"""Items whose keys hold digests of ulids, times, or are drawn by lot."""
PARTITIONS = {"contacts": "contact record", "added-addresses": "added addresses", "sent": "sent"}
"""Where all items are of one kind, whatever their sort keys begin with."""

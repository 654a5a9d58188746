"""Decides which messages or threads a list shows, in which order, and where a page goes on.

A page token remembers the last row shown, not how many: what arrives meanwhile neither repeats
nor hides a row. It belongs to its query and expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.query import Condition, UnknownOperatorError, condition

if TYPE_CHECKING:
    from infra.simulators.google.gate import ApiCall

_HAS_LABEL = (
    "EXISTS (SELECT 1 FROM message_labels l WHERE l.address = m.address AND l.message_id = m.id"
    " AND l.label = ?)"
)
_HIDDEN = (
    "NOT EXISTS (SELECT 1 FROM message_labels l WHERE l.address = m.address"
    " AND l.message_id = m.id AND l.label IN ('SPAM', 'TRASH'))"
)
_ESTIMATE = 201  # what Gmail likes to answer when there is more


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list.

    Attributes:
        ids: message and thread of each row; for threads the newest matching message.
        next_token: "" on the last page.
        estimate: roughly how many there are in all; exact only where all fit into one page.
    """

    ids: list[tuple[int, int]]
    next_token: str
    estimate: int


def list_messages(call: ApiCall) -> Page:
    """Return one page of messages, newest first. Raises AnswerError."""
    return _page(call, by_thread=False, extra="1")


def list_threads(call: ApiCall) -> Page:
    """Return one page of threads, by their newest matching message. Raises AnswerError."""
    return _page(call, by_thread=True, extra="1")


def list_drafts(call: ApiCall) -> Page:
    """Return one page of the messages that are drafts. Raises AnswerError."""
    return _page(
        call,
        by_thread=False,
        extra="EXISTS (SELECT 1 FROM drafts d WHERE d.address = m.address AND d.message_id = m.id)",
    )


def _page(call: ApiCall, *, by_thread: bool, extra: str) -> Page:
    q = call.query.get("q", "")
    labels = call.query.getlist("labelIds")
    hidden = call.query.get("includeSpamTrash") != "true"
    wanted = _condition(call, q)
    if hidden and not wanted.spam_and_trash and not {"SPAM", "TRASH"} & set(labels):
        extra = f"{extra} AND {_HIDDEN}"
    for label in labels:
        if not call.mailbox.has_label(label):
            raise answers.invalid(f"Invalid label: {label}")
    query: list[Any] = [by_thread, q, labels, hidden]
    after = _position(call, query)
    limit = call.max_results()
    columns = "m.internal_date, m.id, m.thread_id"
    where = " AND ".join(["m.address = ?", extra, f"({wanted.sql})", *[_HAS_LABEL] * len(labels)])
    parameters = [call.mailbox.address, *wanted.parameters, *labels]
    text = f"SELECT {columns} FROM messages m WHERE {where}"  # noqa: S608 - our own words
    if by_thread:
        text = (
            f"SELECT internal_date, id, thread_id FROM (SELECT *, ROW_NUMBER() OVER ("  # noqa: S608
            f"PARTITION BY thread_id ORDER BY internal_date DESC, id DESC) AS n FROM ({text}))"
            " AS m WHERE n = 1"
        )
    if after:
        text += " AND (m.internal_date, m.id) < (?, ?)"
        parameters += after
    rows = call.mailbox.world.store.rows(
        f"{text} ORDER BY m.internal_date DESC, m.id DESC LIMIT ?", *parameters, limit + 1
    )
    shown = rows[:limit]
    more = len(rows) > limit
    token = ""
    if more:
        now = call.mailbox.world.clock.epoch()
        token = call.mailbox.world.seal([call.mailbox.address, query, *shown[-1][:2], now])
    return Page(
        [(row[1], row[2]) for row in shown], token, max(_ESTIMATE, limit) if more else len(shown)
    )


def _condition(call: ApiCall, q: str) -> Condition:
    if q and call.only_metadata:
        raise answers.forbidden("Metadata scope does not support 'q' parameter")
    try:
        return condition(q, call.mailbox.world.clock.epoch())
    except UnknownOperatorError as error:
        raise answers.invalid(str(error)) from None


def _position(call: ApiCall, query: list[Any]) -> list[Any]:
    token = call.query.get("pageToken")
    if not token:
        return []
    world = call.mailbox.world
    try:
        address, of_query, date, number, at = world.unseal(token)
    except (ValueError, TypeError):
        raise answers.invalid("Invalid pageToken") from None
    if (address, of_query) != (call.mailbox.address, query):
        raise answers.invalid("Invalid pageToken")
    if world.clock.epoch() - at > world.limits.page_token_seconds:
        raise answers.invalid("Invalid pageToken")
    return [date, number]

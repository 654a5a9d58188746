"""Decides what a search finds: Gmail's `q` as a condition on the tables.

Known: words, "phrases", `-` before any of it, `OR`, `{ }` and `( )` groups, after: before:
newer_than: older_than: from: to: cc: bcc: subject: rfc822msgid: in: label: is: has:attachment
larger: smaller: filename: category:. An operator it does not know raises UnknownOperatorError,
because a search that silently finds nothing (or everything) would hide a client's mistake.
"""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(
    r'\s*(?:([(){}])|(-?)(?:([A-Za-z][A-Za-z0-9_]*):)?("[^"]*"|[^\s(){}"]+|(?=[({])))'
)
_UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "m": 30 * 86_400, "y": 365 * 86_400}
_SIZES = {"": 1, "k": 1024, "m": 1024 * 1024}
_LABEL = (
    "EXISTS (SELECT 1 FROM message_labels l WHERE l.address = m.address AND l.message_id = m.id"
    " AND l.label = ?)"
)
_NAMED = (
    "EXISTS (SELECT 1 FROM message_labels l JOIN labels n ON n.address = l.address"
    " AND n.id = l.label WHERE l.address = m.address AND l.message_id = m.id"
    " AND REPLACE(REPLACE(LOWER(n.name), ' ', '-'), '/', '-') = ?)"
)
_PLACES = {
    "inbox": "INBOX",
    "sent": "SENT",
    "draft": "DRAFT",
    "drafts": "DRAFT",
    "trash": "TRASH",
    "bin": "TRASH",
    "spam": "SPAM",
    "starred": "STARRED",
    "unread": "UNREAD",
    "chats": "CHAT",
    "chat": "CHAT",
    "important": "IMPORTANT",
}
_COLUMNS = {
    "": "words",
    "from": "from_words",
    "subject": "subject_words",
    "filename": "words",
}


_RECEIVERS = {
    "to": "%{}%\n%\n%",
    "cc": "%\n%{}%\n%",
    "bcc": "%\n%\n%{}%",
}
"""Each its own line: that `to:` finds a copy too is not written anywhere."""


class UnknownOperatorError(ValueError):
    """The simulator does not know this operator: teach it, or do not use it."""


@dataclass(slots=True)
class Condition:
    """A condition on `messages m`.

    Attributes:
        sql: the text.
        parameters: of its question marks.
        spam_and_trash: the search itself asked for them.
    """

    sql: str = "1"
    parameters: list[Any] = field(default_factory=list)
    spam_and_trash: bool = False


def condition(q: str, now: float) -> Condition:
    """Return the condition that `q` means at `now` (epoch seconds)."""
    reader = _Reader(q, now)
    sql = reader.group("") or "1"
    return Condition(sql, reader.parameters, reader.spam_and_trash)


class _Reader:
    def __init__(self, q: str, now: float) -> None:
        self.q, self.at, self.now = q, 0, now
        self.parameters: list[Any] = []
        self.spam_and_trash = False

    def group(self, closing: str) -> str:
        """Read up to `closing`; terms side by side are all needed, in braces any is enough."""
        terms: list[list[str]] = []
        joins_previous = False
        while self.at < len(self.q.rstrip()):
            match = _TOKEN.match(self.q, self.at)
            if match is None:
                self.at += 1
                continue
            self.at = match.end()
            bracket, minus, operator, value = match.groups()
            if bracket and bracket == closing:
                break
            if value == "OR" and not operator and not minus:
                joins_previous = bool(terms)
                continue
            term = self._term(bracket, minus, operator, value)
            if not term:
                continue
            if joins_previous:
                terms[-1].append(term)
            else:
                terms.append([term])
            joins_previous = False
        alternatives = ["(" + " OR ".join(some) + ")" for some in terms]
        return (" OR " if closing == "}" else " AND ").join(alternatives)

    def _term(self, bracket: str | None, minus: str, operator: str | None, value: str) -> str:
        if bracket in ("(", "{"):
            inner = self.group(")" if bracket == "(" else "}")
            return f"({inner})" if inner else ""
        if bracket:
            return ""
        if not value and operator is None:
            # A minus before a group.
            self.at += 1
            inner = self.group(")" if self.q[self.at - 1] == "(" else "}")
            return f"NOT ({inner})" if inner else ""
        if not value:
            raise UnknownOperatorError(f"the simulator does not know {operator}: of a group")
        text = value.strip('"')
        found = self._operator((operator or "").lower(), text)
        return f"NOT {found}" if minus else found

    def _operator(self, operator: str, value: str) -> str:
        if operator in ("in", "label", "is", "category", "has"):
            return self._place(operator, value.lower())
        readers: list[tuple[tuple[str, ...], str, Callable[[str], Any]]] = [
            (("after", "newer"), "m.internal_date >= ?", lambda v: int(_instant(v) * 1000)),
            (("before", "older"), "m.internal_date < ?", lambda v: int(_instant(v) * 1000)),
            (("newer_than",), "m.internal_date >= ?", self._ago),
            (("older_than",), "m.internal_date < ?", self._ago),
            (("larger", "size"), "m.size > ?", _size),
            (("smaller",), "m.size < ?", _size),
            (("rfc822msgid",), "m.internet_message_id = ?", lambda v: f"<{v.strip('<>')}>"),
        ]
        for names, sql, read in readers:
            if operator in names:
                return self._with(sql, read(value))
        if operator in _RECEIVERS:
            needle = re.sub(r"([%_\\])", r"\\\1", _needle(value))
            return self._with("m.to_words LIKE ? ESCAPE '\\'", _RECEIVERS[operator].format(needle))
        if operator not in _COLUMNS:
            raise UnknownOperatorError(f"the simulator does not know the operator {operator}:")
        return self._with(f"INSTR(m.{_COLUMNS[operator]}, ?) > 0", _needle(value))

    def _ago(self, value: str) -> int:
        return int((self.now - _span(value)) * 1000)

    def _place(self, operator: str, value: str) -> str:
        if operator == "has":
            if value != "attachment":
                raise UnknownOperatorError(f"the simulator does not know has:{value}")
            return "m.has_attachment"
        if operator == "in" and value == "anywhere":
            self.spam_and_trash = True
            return "1"
        if value == "read":
            return f"NOT {self._with(_LABEL, 'UNREAD')}"
        if operator == "category":
            return self._with(_LABEL, f"CATEGORY_{value.upper().replace('PRIMARY', 'PERSONAL')}")
        if value in ("trash", "bin", "spam"):
            self.spam_and_trash = True
        if value in _PLACES:
            return self._with(_LABEL, _PLACES[value])
        if operator == "is":
            raise UnknownOperatorError(f"the simulator does not know is:{value}")
        return self._with(_NAMED, re.sub(r"[ /]", "-", value))

    def _with(self, sql: str, parameter: Any) -> str:
        self.parameters.append(parameter)
        return sql


def _needle(value: str) -> str:
    """Return what a words column must hold: the address as one word, else its parts in a row."""
    # SQLite's patterns end at a NUL.
    lower = value.lower().replace("\0", " ").strip()
    if "@" in lower and " " not in lower and not lower.startswith("@"):
        return f" {lower} "
    parts = " ".join(re.findall(r"\w+", lower))
    return f" {parts} "


def _instant(value: str) -> float:
    """Return epoch seconds of a date (at midnight, in UTC here) or of epoch seconds."""
    if value.isdigit():
        return float(value)
    for form in ("%Y/%m/%d", "%Y-%m-%d", "%m/%d/%Y"):
        try:
            return float(calendar.timegm(time.strptime(value, form)))
        except ValueError:
            continue
    raise UnknownOperatorError(f"no date: {value}")


def _span(value: str) -> int:
    match = re.fullmatch(r"(\d+)([hdwmy])", value)
    if match is None:
        raise UnknownOperatorError(f"no span of time: {value}")
    return int(match[1]) * _UNITS[match[2]]


def _size(value: str) -> int:
    match = re.fullmatch(r"(\d+)([km]?)b?", value.lower())
    if match is None:
        raise UnknownOperatorError(f"no size: {value}")
    return int(match[1]) * _SIZES[match[2]]

"""Decides which OData queries Graph's mail understands, and what SQL answers them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.ids import MalformedIdError, Namer

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PAGE = 1000
DEFAULT_PAGE = 10
_MOST = 2**31 - 1
_DATES = {
    "receiveddatetime": "received",
    "sentdatetime": "sent",
    "createddatetime": "created",
    "lastmodifieddatetime": "modified",
}
_FLAGS = {"isread": "is_read", "isdraft": "is_draft", "hasattachments": "has_attachments"}
_TEXTS = {
    "subject": "subject",
    "internetmessageid": "internet_id",
    "importance": "importance",
    "inferenceclassification": "focus",
    "from/emailaddress/address": "json_extract(facts, '$.from.emailAddress.address')",
    "sender/emailaddress/address": "json_extract(facts, '$.sender.emailAddress.address')",
    "flag/flagstatus": "json_extract(flag, '$.flagStatus')",
}
_COMPARE = {"eq": "=", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[(),])|(?P<word>[^\s(),']+))", re.DOTALL
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$")


class QueryError(Exception):
    """A query that Graph refuses; `code` is the error's."""

    def __init__(self, text: str, code: str = "BadRequest") -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Filter:
    """A filter as SQL.

    Attributes:
        fields: the properties it names, in order, lower case.
    """

    sql: str = "1"
    values: list[Any] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)


def parse_filter(text: str, namer: Namer) -> Filter:
    """Return a `$filter` on messages as SQL. Raises QueryError."""
    return _Parser(text, namer).parse()


def parse_order(text: str) -> tuple[str, list[str]]:
    """Return an `$orderby` on messages as SQL, and the properties it names."""
    pieces, fields = [], []
    for one in text.split(","):
        name, _, direction = one.strip().partition(" ")
        column = {**_DATES, **_FLAGS, **_TEXTS}.get(name.lower())
        if column is None or direction.strip().lower() not in ("", "asc", "desc"):
            raise QueryError(f"Could not find a property named '{name}' on type 'message'.")
        pieces.append(f"{column} {direction.strip().lower() or 'asc'}")
        fields.append(name.lower())
    return ", ".join(pieces), fields


def check_order(fields: list[str], filtered: list[str]) -> None:
    """Refuse an order that the filter does not begin with, as Exchange does."""
    if filtered and any(name not in filtered for name in fields):
        raise QueryError(
            "The restriction or sort order is too complex for this operation.", "InefficientFilter"
        )


def parse_select(text: str | None, known: frozenset[str], kind: str) -> frozenset[str]:
    """Return the selected names in lower case; empty for all. Raises QueryError."""
    names = frozenset(name.strip().lower() for name in (text or "").split(",") if name.strip())
    for name in sorted(names - known - {"*"}):
        raise QueryError(
            f"Could not find a property named '{name}' on type 'microsoft.graph.{kind}'."
        )
    return frozenset() if "*" in names else names


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a query option that is a count. Raises QueryError."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) > _MOST:
        raise QueryError(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def page_of(query: Mapping[str, str], asked: int = 0) -> int:
    """Return how many a page of a list holds. Raises QueryError."""
    top = whole_number(query, "$top", min(asked, MAX_PAGE) or DEFAULT_PAGE)
    if top > MAX_PAGE:
        raise QueryError(
            f"The limit of '{MAX_PAGE}' for Top query has been exceeded."
            f" The value from the incoming request is '{top}'."
        )
    return top


def parse_date(text: str) -> float:
    """Return an OData date as epoch seconds. Raises QueryError."""
    if not _DATE.match(text):
        raise QueryError(f"Invalid filter clause: '{text}' is no Edm.DateTimeOffset.")
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(f"Invalid filter clause: '{text}' is no date.") from None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


class _Parser:
    """Recursive descent over `$filter`: or, and, not, brackets, comparisons, two functions."""

    def __init__(self, text: str, namer: Namer) -> None:
        self._namer = namer
        self._tokens = [match.group().strip() for match in _TOKEN.finditer(text)]
        self._at = 0
        self._found = Filter()

    def parse(self) -> Filter:
        self._found.sql = self._either()
        if self._at < len(self._tokens):
            self._fail()
        return self._found

    def _either(self) -> str:
        pieces = [self._both()]
        while self._peek() == "or":
            self._next()
            pieces.append(self._both())
        return f"({' or '.join(pieces)})"

    def _both(self) -> str:
        pieces = [self._one()]
        while self._peek() == "and":
            self._next()
            pieces.append(self._one())
        return f"({' and '.join(pieces)})"

    def _one(self) -> str:
        word = self._next()
        if word == "(":
            inner = self._either()
            self._expect(")")
            return inner
        if word.lower() == "not":
            return f"not {self._one()}"
        if word.lower() in ("startswith", "contains") and self._peek() == "(":
            return self._function(word.lower())
        if word.lower().endswith(("/any", "/all")) and self._peek() == "(":
            # github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/3957
            raise QueryError(
                "The query filter contains one or more invalid nodes.", "ErrorInvalidUrlQueryFilter"
            )
        return self._comparison(word)

    def _function(self, name: str) -> str:
        self._expect("(")
        column = self._text_column(self._next())
        self._expect(",")
        value = self._text_value(self._next()).replace("\\", "\\\\")
        self._expect(")")
        value = value.replace("%", "\\%").replace("_", "\\_")
        self._found.values.append(f"{'%' if name == 'contains' else ''}{value}%")
        return f"{column} like ? escape '\\'"

    def _comparison(self, name: str) -> str:
        operator = _COMPARE.get(self._next().lower())
        if operator is None:
            self._fail()
        literal = self._next()
        key = name.lower()
        column: str
        value: Any
        if key in _DATES:
            column, value = _DATES[key], parse_date(literal)
        elif key in _FLAGS:
            column, value = _FLAGS[key], self._truth(literal)
        elif key == "conversationid":
            column, value = "conversation", self._conversation(self._text_value(literal))
        else:
            column, value = self._text_column(name), self._text_value(literal)
            if "json_extract" in column:
                column, value = f"lower({column})", value.lower()
        if key not in _TEXTS:
            self._found.fields.append(key)
        self._found.values.append(value)
        return f"{column} {operator} ?"

    def _text_column(self, name: str) -> str:
        column = _TEXTS.get(name.lower())
        if column is None:
            raise QueryError(
                f"Could not find a property named '{name}' on type 'microsoft.graph.message'."
            )
        self._found.fields.append(name.lower())
        return column

    def _text_value(self, literal: str) -> str:
        if not literal.startswith("'"):
            raise QueryError(
                "A binary operator with incompatible types was detected. Found operand types"
                " 'Edm.String' and 'Edm.Null' for operator kind 'Equal'."
            )
        return literal[1:-1].replace("''", "'")

    def _truth(self, literal: str) -> int:
        if literal not in ("true", "false"):
            raise QueryError("A binary operator with incompatible types was detected.")
        return int(literal == "true")

    def _conversation(self, text: str) -> bytes:
        # The key is the 16 bytes before the last; a wrong id finds nothing.
        try:
            return self._namer.conversation_key(text)
        except MalformedIdError:
            return b""

    def _peek(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            self._fail()
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, mark: str) -> None:
        if self._next() != mark:
            self._fail()

    def _fail(self) -> None:
        raise QueryError(
            f"Invalid filter clause: Syntax error at position {self._at} in"
            f" '{' '.join(self._tokens)}'."
        )

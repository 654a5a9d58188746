"""In which words a caller reads what is wrong with a field.

Ours, and never an echo of what they sent.

The validator's own texts name Python types and could quote the input, which may be a password.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.api.schemas.fields import OUR_ERROR

MOST_SHOWN = 50

_MESSAGES: Mapping[str, str] = {
    "missing": "This is required.",
    "extra_forbidden": "This field is not known.",
    "string_type": "This must be a text.",
    "string_too_short": "At least {min_length} characters.",
    "string_too_long": "At most {max_length} characters.",
    "string_unicode": "This is not valid Unicode.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "enum": "One of {expected}.",
    "literal_error": "One of {expected}.",
    "greater_than_equal": "At least {ge}.",
    "less_than_equal": "At most {le}.",
    "list_type": "This must be a list.",
    "dict_type": "This must be an object.",
    "model_type": "This must be an object.",
    "model_attributes_type": "This must be an object.",
    "too_long": "At most {max_length} of these.",
    "too_short": "At least {min_length} of these.",
    "timezone_aware": "An instant with a time zone, such as 2026-01-31T09:00:00Z.",
    "datetime_type": "An instant with a time zone, such as 2026-01-31T09:00:00Z.",
    "datetime_parsing": "An instant with a time zone, such as 2026-01-31T09:00:00Z.",
    "datetime_from_date_parsing": "An instant with a time zone, such as 2026-01-31T09:00:00Z.",
    "json_invalid": "The body is not valid JSON.",
}
_PLACES = frozenset({"body", "query", "path", "header"})


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return (field, message) for each validation error, a field by its dotted path."""
    return list(_each(errors[:MOST_SHOWN]))


def _each(errors: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for error in errors:
        kind = str(error.get("type", ""))
        place, *path = (str(part) for part in error.get("loc", ("body",)) or ("body",))
        if place not in _PLACES:
            path = [place, *path]
        # A position in a text that is no JSON is not a field.
        field = "body" if kind == "json_invalid" else ".".join(path) or place
        yield field, _message(kind, error)


def _message(kind: str, error: Mapping[str, Any]) -> str:
    if kind == OUR_ERROR:
        return str(error.get("msg", ""))
    if error.get("ctx", {}).get("min_length") == 1:
        return "This must not be empty."
    template = _MESSAGES.get(kind, "This is not valid.")
    try:
        return template.format(**(error.get("ctx") or {}))
    except (KeyError, IndexError):
        return "This is not valid."

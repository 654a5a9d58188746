"""Decides what `fields=` leaves of an answer: `a,b/c,d(e,f/g)`, `*` for anything."""

from __future__ import annotations

import re
from typing import Any

Mask = dict[str, "Mask | None"]
_TOKEN = re.compile(r"[A-Za-z_*][\w*]*|[(),/]")


def parse(text: str) -> Mask:
    """Return the mask. Raises ValueError for what is none."""
    compact = "".join(text.split())
    tokens = _TOKEN.findall(compact)
    if "".join(tokens) != compact or not tokens:
        raise ValueError(text)
    mask, rest = _list(tokens)
    if rest:
        raise ValueError(text)
    return mask


def _list(tokens: list[str]) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        name, inner, tokens = _item(tokens)
        known = mask.get(name, {})
        mask[name] = None if inner is None or known is None else {**known, **inner}
        if not tokens or tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]


def _item(tokens: list[str]) -> tuple[str, Mask | None, list[str]]:
    if not tokens or not (tokens[0][0].isalpha() or tokens[0] in ("*", "_")):
        raise ValueError("a field's name is missing")
    name, tokens = tokens[0], tokens[1:]
    if tokens and tokens[0] == "/":
        inner_name, inner, tokens = _item(tokens[1:])
        return name, {inner_name: inner}, tokens
    if tokens and tokens[0] == "(":
        found, tokens = _list(tokens[1:])
        if not tokens or tokens[0] != ")":
            raise ValueError("a bracket is missing")
        return name, found, tokens[1:]
    return name, None, tokens


def select(mask: Mask, value: Any) -> Any:
    """Return what the mask leaves of `value`."""
    if isinstance(value, list):
        return [select(mask, item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        if name in mask or "*" in mask:
            deeper = mask.get(name, mask.get("*"))
            kept[name] = inner if deeper is None else select(deeper, inner)
    return kept

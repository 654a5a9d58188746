"""Where the text a person wrote ends and the mail they answered begins."""

import re

_QUOTED = re.compile(r"^\s?>")
# "On Tue, 3 Mar 2026 at 10:15, Ann <ann@example.org> wrote:" in the languages met most, on one line
# or two.
_SAYS_WHO = re.compile(
    r"^.{0,400}\b(?:wrote|schrieb|écrit|escribi[óo]|escreveu|ha scritto|schreef|skrev|napisał)\b"
    r".{0,200}:\s*$",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"^\s*(?:On|Am|Le|El|Em|Il|Op|Den|Dnia|W dniu)\b")
_SEPARATOR = re.compile(
    r"^\s*-{2,}\s*"
    r"(?:original message|ursprüngliche nachricht|message d'origine|mensaje original)"
    r"\s*-{2,}\s*$",
    re.IGNORECASE,
)


def split_quoted(text: str) -> tuple[str, str]:
    """Return (what was written, what was quoted); joined in this order they are `text` again.

    Only a quote that reaches to the end is split off: an answer between quoted lines makes sense
    only whole.
    """
    lines = text.splitlines(keepends=True)
    start = _first_quoted(lines)
    if start is None or not "".join(lines[:start]).strip():
        return text, ""
    return "".join(lines[:start]), "".join(lines[start:])


def _first_quoted(lines: list[str]) -> int | None:
    for index, line in enumerate(lines):
        if _SEPARATOR.match(line):
            return index
    start = len(lines)
    while start and (_QUOTED.match(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
    if not any(_QUOTED.match(line) for line in lines[start:]):
        return None
    return _with_attribution(lines, start)


def _with_attribution(lines: list[str], start: int) -> int:
    """Return where the words "On …, Ann wrote:" above the quote begin, or `start` without them."""
    above = [index for index in range(max(0, start - 3), start) if lines[index].strip()]
    if not above or not _SAYS_WHO.match(lines[above[-1]]):
        return start
    last = above[-1]
    continued = last - 1 in above and not _BEGINS.match(lines[last])
    return last - 1 if continued and _BEGINS.match(lines[last - 1]) else last

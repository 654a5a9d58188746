"""What stands before a subject to say that it answers or passes on, in any language."""

import re

from shared.domain.composing import MAX_SUBJECT_CHARACTERS, one_line

_COLON = r"\s*(?:\[\d{1,4}\]|\(\d{1,4}\)|\d{1,2}|\*\d{1,2})?\s*[:\uff1a]"
_ANSWERS = re.compile(r"\s*[^\W\d_]{1,5}\s*(?:\[\d+\])?\s*[:\uff1a]")
"""Re:, AW:, SV[2]:, 回复:. Whoever takes "Note:" for one must do no harm by it."""
_KNOWN = (
    # An answer, as mail programs write it in the languages they come in.
    "re", "aw", "antw", "sv", "vs", "vá", "ynt", "odp", "res", "rif", "ref", "bls", "ατ", "απ",
    "σχετ", "ответ", "отв", "відп", "回复", "回覆", "答复", "返信", "回信", "답장", "회신",
    # Passed on.
    "fwd", "fw", "wg", "tr", "rv", "enc", "pd", "vb", "vl", "vs", "vid", "doorst", "ilt", "trs",
    "továbbítás", "πρθ", "переслано", "转发", "轉寄", "転送", "전달",
)  # fmt: skip
_LONGEST_FIRST = sorted(set(_KNOWN), key=len, reverse=True)
_KNOWN_PREFIXES = re.compile(
    rf"(?:\s*(?:{'|'.join(_LONGEST_FIRST)}){_COLON})+",
    re.IGNORECASE,
)


def says_it_answers(subject: str) -> bool:
    """Whether a subject begins as that of an answer does; "Note:" counts too."""
    return _ANSWERS.match(subject) is not None


def of_answer(subject: str) -> str:
    """Return the subject of an answer: one `Re:`, whatever stood there before."""
    return _prefixed("Re:", subject)


def of_forward(subject: str) -> str:
    """Return the subject of what is passed on: one `Fwd:`, whatever stood there before."""
    return _prefixed("Fwd:", subject)


def _prefixed(prefix: str, subject: str) -> str:
    subject = one_line(subject)
    known = _KNOWN_PREFIXES.match(subject)
    bare = subject[known.end() :].strip() if known else subject
    return f"{prefix} {bare}"[:MAX_SUBJECT_CHARACTERS].strip()

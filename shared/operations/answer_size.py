"""How much of a body one answer may carry: a function of AWS answers 6 MB at most, as JSON in JSON.

A quotation mark then takes four bytes and a control character seven, so that two megabytes of a
body can make eight of an answer, which the caller would read as a failure of ours.
"""

import json

MOST_BYTES = 1_750_000
"""Of text and of HTML each; participants, headers and attachments need what is left."""


def fits(text: str) -> bool:
    """Return whether `text` may be answered whole."""
    # Seven bytes are the most that a character of one byte takes.
    return len(text) * 7 <= MOST_BYTES or _bytes_in_answer(text) <= MOST_BYTES


def beginning(text: str) -> str:
    """Return as much of `text` as may be answered, and not much less."""
    while not fits(text):
        text = text[: len(text) * 7 // 8]
    return text


def _bytes_in_answer(text: str) -> int:
    in_body = json.dumps(text, ensure_ascii=False)
    return len(json.dumps(in_body, ensure_ascii=False).encode("utf-8"))

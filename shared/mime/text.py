"""Which parts of a message are its readable text, and what of it stands in a list of messages."""

from collections.abc import Sequence

_SNIPPET_CHARACTERS = 160
_SNIPPET_FROM = 8_000
_QUOTE_ENDS = (
    "wrote:", "schrieb:", "a écrit :", "a écrit:", "escribió:", "ha scritto:", "escreveu:",
    "schreef:",
)  # fmt: skip
_QUOTE_STARTS = (">", "-----Original Message", "-----Ursprüngliche Nachricht", "________________")


def joined(pieces: Sequence[str], separator: str) -> str:
    """Return the bodies a message has of one kind as one."""
    if len(pieces) == 1:
        return pieces[0]
    return separator.join(piece.strip("\r\n") for piece in pieces if piece and not piece.isspace())


def snippet(text: str) -> str:
    """Return the start of what is new in `text` on one line: quoted mail does not count."""
    text = text[:_SNIPPET_FROM]
    lines = text.split("\n")
    new: list[str] = []
    length = 0
    for number, untrimmed in enumerate(lines):
        line = untrimmed.strip()
        if _starts_quote(line, lines, number):
            break
        if line:
            new.append(line)
            length += len(line) + 1
            if length > _SNIPPET_CHARACTERS * 2:
                break
    return shortened(" ".join(new)) or shortened(text)


def _starts_quote(line: str, lines: list[str], number: int) -> bool:
    if line.startswith(_QUOTE_STARTS):
        return True
    if line.endswith(_QUOTE_ENDS):
        return True
    # Mail programs break the line of attribution: `On <date>, <name>` / `<address> wrote:`.
    if not line.startswith("On ") or number + 1 == len(lines):
        return False
    return lines[number + 1].strip().endswith("wrote:")


def shortened(text: str) -> str:
    """Return `text` collapsed and cut for a list."""
    return collapsed(text, _SNIPPET_CHARACTERS).rstrip()


def collapsed(text: str, limit: int) -> str:
    """Return the first `limit` characters of `text` with white space collapsed."""
    for window in (limit * 2, limit * 32, len(text)):
        short = " ".join(text[:window].split())
        # The last word of a window may be cut off, so it must reach past the limit.
        if len(short) > limit or window >= len(text):
            return short[:limit]
    return ""

"""Where the text a person wrote ends, and their signature and the mail they answered begin.

Each line is looked at by itself and a few below it, each pattern reads it once: a text of any form
costs in proportion to its length.
"""

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


# What Outlook puts above the mail that is answered, in the languages met most, perhaps in bold.
_FROM = re.compile(r"^\s?\*?(?:From|Von|De|Da|Van|Från|Fra|Od)\s?:\*?\s", re.IGNORECASE)
_SENT = re.compile(
    r"^\s?\*?(?:Sent|Gesendet|Envoyé|Enviad[ao](?: el| em)?|Inviato|Verzonden|Skickat|Sendt"
    r"|Wysłano)\s?:\*?\s",
    re.IGNORECASE,
)
_DATE = re.compile(r"^\s?\*?(?:Date|Datum|Fecha|Data)\s?:\*?\s", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^\s?\*?(?:Subject|Betreff|Objet|Asunto|Assunto|Oggetto|Onderwerp|Ämne|Emne|Temat)\s?:",
    re.IGNORECASE,
)
_SHORTEST_HEAD = 5
_FIELDS_BELOW = 8
"""To and Cc may take lines of their own."""
_RULE = re.compile(r"^\s?_{10,}\s*$")
_DASHES = "-- "
"""RFC 3676, 4.3."""
_BARE_DASHES = "--"
"""As it is when the space at its end was taken for none, or a line that somebody drew."""
_LONGEST_SIGNATURE_LINES = 15
_LONGEST_BELOW_BARE_DASHES = 5
_ENDS_A_SENTENCE = re.compile(r"[.!?:;,]\s*$")
_OF_A_PHONE = re.compile(
    r"^(?:(?:Sent from my |Sent from Outlook|Get Outlook for |Gesendet von |Envoyé de mon "
    r"|Enviado desde mi |Enviado do meu |Inviato da |Verzonden vanaf )"
    r"[\w '\u2019-]{0,40}|Von meinem [\w '\u2019-]{1,40} gesendet)"
    r"\.?(?: ?[<(]https?://[^\s<>()]{1,200}[>)])?\s*$",
    re.IGNORECASE,
)


def split_signature(text: str) -> tuple[str, str]:
    """Return (what was written, the signature); joined in this order they are `text` again.

    What may be an answer is no signature: it would be hidden.
    """
    lines = text.splitlines(keepends=True)
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    start = last - 1 if last and _OF_A_PHONE.match(lines[last - 1]) else None
    for index in range(max(0, last - _LONGEST_SIGNATURE_LINES), last):
        if _is_signature(lines[index].rstrip("\r\n"), lines[index + 1 : last]):
            start = index
    if start is None or not "".join(lines[:start]).strip():
        return text, ""
    return "".join(lines[:start]), "".join(lines[start:])


def _is_signature(dashes: str, below: list[str]) -> bool:
    if dashes == _DASHES:
        # A quote down there has answers around it, or `split_quoted` had taken it off.
        return not any(
            pattern.match(line) for line in below for pattern in (_QUOTED, _SAYS_WHO, _FROM)
        )
    return (
        dashes == _BARE_DASHES
        and len(below) <= _LONGEST_BELOW_BARE_DASHES
        and all(line.strip() and not _ENDS_A_SENTENCE.search(line) for line in below)
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
        if len(line) < _SHORTEST_HEAD:
            continue
        if _SEPARATOR.match(line):
            return index
        if _FROM.match(line):
            is_ruled = index > 0 and _RULE.match(lines[index - 1]) is not None
            below = lines[index + 1 : index + 1 + _FIELDS_BELOW]
            if _is_head(below, is_certain=is_ruled or "@" in line):
                return index - is_ruled
    start = len(lines)
    while start and (_QUOTED.match(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
    if not any(_QUOTED.match(line) for line in lines[start:]):
        return None
    return _with_attribution(lines, start)


def _is_head(below: list[str], *, is_certain: bool) -> bool:
    """Return whether these fields head a mail; a trip too is from somewhere, and has a date."""
    when = (_SENT, _DATE) if is_certain else (_SENT,)
    return any(pattern.match(line) for line in below for pattern in when) and any(
        _SUBJECT.match(line) for line in below
    )


def _with_attribution(lines: list[str], start: int) -> int:
    """Return where the words "On …, Ann wrote:" above the quote begin, or `start` without them."""
    above = [index for index in range(max(0, start - 3), start) if lines[index].strip()]
    if not above or not _SAYS_WHO.match(lines[above[-1]]):
        return start
    last = above[-1]
    continued = last - 1 in above and not _BEGINS.match(lines[last])
    return last - 1 if continued and _BEGINS.match(lines[last - 1]) else last

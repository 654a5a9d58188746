"""Decides what the benchmark's mailbox holds: believable mail in sizes a business mailbox has.

Seeded, so that every machine and every run measures the same bytes. The sizes are those of the
mailbox in the figures we compare with: median about 14 KB, 95th percentile about 100 KB, one message
in twenty with attachments of 50 to 500 KB, four folders, 33 KB on average.
"""

import base64
import binascii
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

FOLDERS = {"INBOX": 0.6, "Sent": 0.2, "Archive": 0.15, "Projects": 0.05}
"""Which share of the messages lies in which folder."""
OWNER = "owner@mailroom.test"
LAST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 730
_CORRESPONDENTS = 1_500
_PARAGRAPHS = 1_500
_SYLLABLES = [
    "al",
    "an",
    "ar",
    "be",
    "ca",
    "co",
    "da",
    "de",
    "di",
    "el",
    "en",
    "er",
    "es",
    "fi",
    "ga",
    "ha",
    "in",
    "ka",
    "la",
    "le",
    "li",
    "lo",
    "ma",
    "me",
    "mi",
    "mo",
    "na",
    "ne",
    "ni",
    "no",
    "or",
    "pa",
    "pe",
    "po",
    "ra",
    "re",
    "ri",
    "ro",
    "sa",
    "se",
    "si",
    "so",
    "ta",
    "te",
    "ti",
    "to",
    "tra",
    "un",
    "ur",
    "va",
    "ve",
    "vi",
    "vo",
    "za",
]
_ACCENTED = ("für", "größe", "señal", "déjà", "naïve", "žluť", "ölçü", "über", "día", "façade")
_ROW = (
    '<tr><td style="padding:8px 12px;font-family:Arial,Helvetica,sans-serif;font-size:14px;'
    'line-height:20px;color:#333333">%s</td></tr>\r\n'
)
_HEAD = (
    '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    '</head><body><table width="100%">\r\n'
)
_FOOT = "</table></body></html>\r\n"
_ENCODINGS = ("quoted-printable", "quoted-printable", "quoted-printable", "base64", "8bit")


@dataclass(frozen=True, slots=True)
class Made:
    """One message: the folder it lies in, its bytes, its flags and when it was received."""

    folder: str
    raw: bytes
    flags: tuple[str, ...]
    received_at: datetime


class _Paragraphs:
    """A stock of paragraphs, each in every encoding, because encoding is what takes long."""

    def __init__(self, rng: random.Random) -> None:
        words = sorted(
            {"".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(6_000)}
        )
        weights = [1 / (rank + 3) for rank in range(len(words))]
        rng.shuffle(words)
        self.plain: list[str] = []
        for _ in range(_PARAGRAPHS):
            chosen = rng.choices(words, weights, k=rng.randint(25, 90))
            if rng.random() < 0.4:
                chosen[rng.randrange(len(chosen))] = rng.choice(_ACCENTED)
            self.plain.append(_wrapped(" ".join(chosen).capitalize() + "."))
        self.rows = [_ROW % text.replace("\r\n", " ") for text in self.plain]
        self.quoted_plain = [_quoted_printable(text) for text in self.plain]
        self.quoted_rows = [_quoted_printable(row) for row in self.rows]
        self.head, self.foot = _quoted_printable(_HEAD), _quoted_printable(_FOOT)

    def text(self, numbers: list[int], encoding: str) -> bytes:
        """Return paragraphs as the body of a text/plain part."""
        if encoding == "quoted-printable":
            return b"\r\n".join(self.quoted_plain[number] for number in numbers)
        body = "\r\n".join(self.plain[number] for number in numbers).encode()
        return _base64(body) if encoding == "base64" else body

    def html(self, numbers: list[int], encoding: str) -> bytes:
        """Return paragraphs as the body of a text/html part."""
        if encoding == "quoted-printable":
            return self.head + b"".join(self.quoted_rows[n] for n in numbers) + self.foot
        body = (_HEAD + "".join(self.rows[n] for n in numbers) + _FOOT).encode()
        return _base64(body) if encoding == "base64" else body


def generate(
    count: int, *, seed: int = 1, last_day: datetime = LAST_DAY, days: int = DAYS
) -> Iterator[Made]:
    """Yield `count` messages, oldest first, received over the `days` before `last_day`."""
    rng = random.Random(seed)
    stock = _Paragraphs(rng)
    correspondents = [
        f"{rng.choice(_SYLLABLES)}{rng.choice(_SYLLABLES)}{number}@customer{number % 400}.example"
        for number in range(_CORRESPONDENTS)
    ]
    threads: list[str] = []
    for number in range(count):
        received_at = last_day - timedelta(days=days) * ((count - number) / count)
        received_at = received_at.replace(microsecond=0)
        folder = rng.choices(list(FOLDERS), list(FOLDERS.values()))[0]
        # Few people write most of the mail.
        other = correspondents[int(_CORRESPONDENTS * rng.random() ** 2)]
        message_id = f"<{number}.{rng.getrandbits(64):016x}@{other.partition('@')[2]}>"
        root = rng.choice(threads[-300:]) if threads and rng.random() < 0.45 else None
        if root is None:
            threads.append(message_id)
        header = _header(rng, folder, other, message_id, root, received_at, stock)
        raw = header.encode() + _body(rng, stock)
        flags = ("\\Seen",) if rng.random() < 0.8 else ()
        yield Made(folder, raw, flags, received_at)


def _header(
    rng: random.Random,
    folder: str,
    other: str,
    message_id: str,
    root: str | None,
    received_at: datetime,
    stock: _Paragraphs,
) -> str:
    sender, receiver = (OWNER, other) if folder == "Sent" else (other, OWNER)
    date = format_datetime(received_at)
    subject = " ".join(rng.choice(stock.plain).split()[: rng.randint(2, 9)])
    if not subject.isascii():
        subject = f"=?utf-8?B?{base64.b64encode(subject.encode()).decode()}?="
    lines = []
    if folder != "Sent":
        for hop in range(rng.randint(2, 5)):
            lines.append(
                f"Received: from mx{hop}.customer.example (mx{hop}.customer.example"
                f" [192.0.2.{rng.randint(1, 254)}])\r\n\tby relay{hop}.mailroom.test (Postfix)"
                f" with ESMTPS id {rng.getrandbits(40):010X}\r\n\tfor <{receiver}>; {date}"
            )
        for _ in range(rng.randint(1, 2)):
            lines.append(
                "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=customer.example;"
                " s=selector1;\r\n h=From:Date:Subject:Message-ID:Content-Type:MIME-Version;\r\n b="
                + "\r\n ".join(base64.b64encode(rng.randbytes(48)).decode() for _ in range(5))
            )
        lines.append(
            "Authentication-Results: mx.mailroom.test; dkim=pass header.d=customer.example;"
            "\r\n\tspf=pass smtp.mailfrom=customer.example; dmarc=pass"
        )
    lines.append(f'From: "{sender.partition("@")[0].title()} Example" <{sender}>')
    lines.append(f"To: <{receiver}>")
    copied = [
        f"colleague{rng.randint(1, 40)}@mailroom.test" for _ in range(rng.choice((0, 0, 1, 3)))
    ]
    if copied:
        lines.append("Cc: " + ",\r\n ".join(copied))
    lines += [f"Subject: {'Re: ' if root else ''}{subject}", f"Date: {date}"]
    lines.append(f"Message-ID: {message_id}")
    if root:
        lines += [f"In-Reply-To: {root}", f"References: {root}"]
    lines += ["MIME-Version: 1.0", "X-Mailer: Example Mail 11.4"]
    return "\r\n".join(lines) + "\r\n"


def _body(rng: random.Random, stock: _Paragraphs) -> bytes:
    """Return the MIME fields of the header, the empty line and the body."""
    wanted = min(max(rng.lognormvariate(9.4, 0.85), 300.0), 110_000.0)
    kind = rng.choices(("both", "html", "plain"), (0.7, 0.1, 0.2))[0]
    # A row of HTML and the paragraph it holds come to about 370 bytes each.
    each = {"both": 1_150, "html": 650, "plain": 480}[kind]
    numbers = rng.choices(range(_PARAGRAPHS), k=max(1, round(wanted / each)))
    encoding = rng.choice(_ENCODINGS)
    plain = _part("text/plain", encoding, stock.text(numbers, encoding))
    html = _part("text/html", encoding, stock.html(numbers, encoding))
    boundary = f"=_{rng.getrandbits(96):024x}"
    inner = {
        "plain": plain,
        "html": html,
        "both": _multipart("alternative", boundary, [plain, html]),
    }[kind]
    if rng.random() >= 0.05:
        return inner
    size = int(50_000 * 10 ** rng.random())
    pieces = [size] if rng.random() < 0.7 else [size // 3, size - size // 3]
    files = [_attachment(f"offer {n}.pdf", rng.randbytes(piece)) for n, piece in enumerate(pieces)]
    return _multipart("mixed", boundary + "m", [inner, *files])


def _part(content_type: str, encoding: str, body: bytes) -> bytes:
    fields = f"Content-Type: {content_type}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"
    return fields.encode() + b"\r\n\r\n" + body


def _attachment(name: str, content: bytes) -> bytes:
    fields = (
        f'Content-Type: application/pdf; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    return fields.encode() + _base64(content)


def _multipart(kind: str, boundary: str, parts: list[bytes]) -> bytes:
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts)
    field = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'
    return field.encode() + body + mark + b"--\r\n"


def _wrapped(text: str) -> str:
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) > 72:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\r\n".join([*lines, line, ""])


def _quoted_printable(text: str) -> bytes:
    lines = (
        binascii.b2a_qp(line.encode(), istext=True).replace(b"\n", b"\r\n")
        for line in text.split("\r\n")
    )
    return b"\r\n".join(lines)


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")

"""A generator of hostile mail: what somebody writes who wants a reader to die, to lie or to run their text.

Everything follows from the `random.Random` that is handed in.
"""

import base64
import gzip
import random
import zlib
from collections.abc import Callable

from tests.unit.mime.bombs import BOMBS, MEGABYTE
from tests.unit.mime.mail import PAYLOADS
from tests.unit.mime.xss import VECTORS

SEEDS = [path.read_bytes() for path in sorted(PAYLOADS.glob("*.eml"))]
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\0", b"--", b"--=_b", b"--=_b--", b"\r\n\r\n", b":", b";", b'"', b"<",
    b">", b"(", b"\\", b"=?utf-8?q?", b"?=", b"=?utf-8?b?////?=", b"=ED=A0=80", b"\xed\xa0\x80",
    b"\xff\xfe", b"boundary=", b'boundary=""', b"charset=utf-16", b"charset=hex", b"charset=idna",
    b"Content-Type: multipart/mixed", b"Content-Type: message/rfc822", b"Content-Type: text/html",
    b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: x-uuencode",
    b"Content-Type: text/plain; charset=utf-7", b"+2AA-", b"+ADw-", b"=", b"=\r\n", b"&#0;",
    b"&#xD800;", b"From: ", b"References: ", b"Date: ", b"To: @", b"<div>", b"<!--", b"<pre>",
]  # fmt: skip
CHARSETS = [
    "utf-8", "utf-7", "utf-16", "utf-32", "iso-2022-jp", "iso-2022-kr", "hz", "gb18030", "big5", "cp037",
    "hex", "base64", "rot13", "zlib", "bz2", "idna", "punycode", "unicode_escape", "raw_unicode_escape",
    "undefined", "mbcs", "x-unknown", "../../etc/passwd", "utf-8\0", "", "8bit", "x" * 9_000,
]  # fmt: skip
DATES = [
    "Thu, 01 Jan 1970 00:00:00 +0000", "Fri, 31 Dec 9999 23:59:59 -9999", "32 Foo 2026 25:61:61", "0",
    "Mon, 1 Jan 0000 00:00:00 +0000", "Mon, 1 Jan 99999999999999999999 00:00:00 Z", "now", "\0", "",
    "Sat, 21 Nov 2026 12:00:00 +99999999999", "Sat, 21 Nov 2026 12:00:00 (" + "(" * 5_000,
]  # fmt: skip
ADDRESSES = [
    "@", "a@", "@b", "a@b@c", '"', '"a', "<", "<<a@b.example>>", "a b c@d e", "a@[127.0.0.1]", "a@[",
    "group: a@b.example, c@d.example;", "group:;", "(((", "a@" + "b" * 70_000, "x" * 70_000 + "@y.example",
    "=?utf-8?q?a=0D=0ABcc:_victim=40x.example?= <a@b.example>", "a@b.example\0", "ａ＠ｂ.example",
    "\u202egro.live@x <a@b.example>", "a@xn--" + "9" * 300, ",,,,,", ";", "undisclosed-recipients:;",
]  # fmt: skip
ODD_TEXT = [
    "\0",
    "\r",
    "\x1b[2J",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\ufffd",
    "\U0010ffff",
    "\x85",
    "a",
]


def mutated(random_: random.Random) -> bytes:
    """Return a real message with a dozen wounds."""
    raw = bytearray(random_.choice(SEEDS))
    for _ in range(random_.randint(1, 12)):
        at = random_.randrange(len(raw) + 1)
        upto = min(len(raw), at + random_.randint(0, 40))
        match random_.randrange(5):
            case 0:
                raw[at:at] = random_.choice(TOKENS)
            case 1:
                del raw[at:upto]
            case 2:
                raw[at:at] = raw[at:upto] * random_.randint(1, 5)
            case 3:
                raw[at:upto] = random_.randbytes(upto - at)
            case _:
                other = random_.choice(SEEDS)
                cut = random_.randrange(len(other) + 1)
                raw[at:at] = other[cut : cut + 200]
    return bytes(raw)


# ---- one function for each way to be hostile ----


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _head(random_: random.Random, **more: str) -> bytes:
    fields = {
        "From": "a@b.example",
        "To": "ada@acme.example",
        "Message-ID": f"<{random_.getrandbits(64)}@b.example>",
        "Date": "Sat, 21 Nov 2026 12:00:00 +0000",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    ends = random_.choice(["\r\n", "\r\n", "\n"])
    return b"".join(_bytes(f"{name}: {value}{ends}") for name, value in fields.items())


def _size(random_: random.Random, most: int) -> int:
    """Mostly small: a size of which all orders of magnitude are as likely."""
    return int(most ** random_.uniform(0.3, 1.0))


def nesting(random_: random.Random) -> bytes:
    depth = _size(random_, 20_000)
    kind = random_.choice(["mixed", "alternative", "related", "report", "x" * 500])
    levels: list[bytes] = []
    for level in range(depth):
        name = "b" if random_.random() < 0.3 else f"b{level}"
        if random_.random() < 0.2:
            levels.append(b"Content-Type: message/rfc822\n\n")
        else:
            levels.append(_bytes(f"Content-Type: multipart/{kind}; boundary={name}\n\n--{name}\n"))
    ends = b"".join(b"\n--b%d--" % level for level in range(depth) if random_.random() < 0.5)
    return _head(random_) + b"".join(levels) + b"\nx\n" + ends


def huge_headers(random_: random.Random) -> bytes:
    match random_.randrange(4):
        case 0:
            names = range(_size(random_, 200_000))
            more = b"".join(b"X-%d: %d\r\n" % (name, name) for name in names)
        case 1:
            more = b"X: " + b"a" * _size(random_, 8 * MEGABYTE) + b"\r\n"
        case 2:
            more = b"Subject: a\r\n" + b" b\r\n" * _size(random_, 500_000)
        case _:
            word = random_.choice(
                [b"=?utf-8?b?AAAA?= ", b"=?utf-8?q?=?= ", b"=?x?b?", b"=?utf-8*en?q?a?="]
            )
            name = random_.choice([b"Subject: ", b"To: ", b"From: ", b"References: ", b"X: "])
            more = name + word * _size(random_, 200_000) + b"\r\n"
    return _head(random_) + more + b"\r\nx"


def broken_charsets(random_: random.Random) -> bytes:
    charset = random_.choice(CHARSETS)
    word = base64.b64encode(random_.randbytes(30)).decode()
    return (
        _head(
            random_,
            Subject=f"=?{random_.choice(CHARSETS)}?b?{word}?= =?{random_.choice(CHARSETS)}?q?=FF=00?=",
            Content_Type=f'text/{random_.choice(["plain", "html"])}; charset="{charset}"',
            Content_Transfer_Encoding=random_.choice(["8bit", "base64", "quoted-printable", "x"]),
        )
        + b"\r\n"
        + random_.randbytes(_size(random_, MEGABYTE))
    )


def packed(random_: random.Random) -> bytes:
    """Attachments that are small here and large wherever somebody unpacks them; broken base64."""
    zeros = b"\0" * (8 * MEGABYTE)
    content = random_.choice(
        [gzip.compress, zlib.compress, lambda all_: b"PK\x03\x04" + all_[:9_000]]
    )(zeros)
    coded = bytearray(base64.encodebytes(content))
    for _ in range(random_.randrange(50)):
        coded[random_.randrange(len(coded))] = random_.choice(b"=!\0\r\n-A")
    kind = random_.choice(
        ["application/zip", "application/gzip", "text/plain", "text/html", "image/svg+xml"]
    )
    return (
        _head(random_, Content_Type="multipart/mixed; boundary=b")
        + _bytes(f"\r\n--b\r\nContent-Type: {kind}; name=a.zip\r\nContent-Encoding: gzip\r\n")
        + b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
        + bytes(coded) * random_.randint(1, 3)
        + random_.choice([b"", b"\r\n--b--\r\n"])
    )


def large_bodies(random_: random.Random) -> bytes:
    """25 MB and more, past the limit too, of what is slowest to look at."""
    piece = random_.choice(
        [
            b"a",
            b"\n",
            b"\r\n",
            b"> ",
            b"--b\n",
            b"\xc3",
            b"=\n",
            b"<b>",
            b"\0",
            random_.randbytes(997),
        ]
    )
    size = random_.choice([25, 25, 40, 51]) * MEGABYTE
    kind = random_.choice(
        ["text/plain", "text/html", "application/pdf", "multipart/mixed; boundary=b"]
    )
    encoding = random_.choice(["7bit", "8bit", "base64", "quoted-printable", "binary"])
    head = _head(random_, Content_Type=kind, Content_Transfer_Encoding=encoding)
    return head + b"\r\n" + piece * (size // len(piece))


def html_bombs(random_: random.Random) -> bytes:
    piece = random_.choice(
        [
            "<div>", "<b><i>", "<table><tr><td>", "<a href='javascript:x'>", "<svg><script>", "<!--", "<![CDATA[",
            "<p style='background:url(x)'>", "<img src=x onerror=y>", "&lt;", "&#0;", "&#xD800;", "<p a=1 a=2>",
            "<style>", "<math><mtext>", "</div>", "<blockquote>", "<font size=", "<base href=//x>", "<iframe>",
        ]
    )  # fmt: skip
    count = _size(random_, 2 * MEGABYTE // len(piece))
    html = piece * count + "x" + ("</div>" * random_.choice([0, count]))
    return _head(random_, Content_Type="text/html; charset=utf-8") + b"\r\n" + _bytes(html)


def header_injection(random_: random.Random) -> bytes:
    """Fields that hold a line end once they are decoded."""
    evil = random_.choice(
        ["=0D=0ABcc:_v=40x.example", "=0A", "=0D", "=00", "=0D=0A=0D=0A<script>", "=E2=80=A8"]
    )
    word = f"=?utf-8?q?a{evil}?="
    name = random_.choice(
        [word, "../../a\\b.exe", "a\u202egpj.exe", "CON", "\0", "x" * 9_000, "utf-8''a%0d%0ab"]
    )
    star = random_.choice(["", "*", "*0", "*0*"])
    return (
        _head(
            random_,
            Subject=random_.choice([word, "a\rBcc: v@x.example", "a\0b", word * 50]),
            From=f"{word} <a@b.example>",
            Reply_To=f'"{word}" <{word}@b.example>',
            References=f"<{word}@x> <a\rb@x>",
            Content_Type="multipart/mixed; boundary=b",
        )
        + _bytes(f'\r\n--b\r\nContent-Disposition: attachment; filename{star}="{name}"\r\n')
        + _bytes(
            f'Content-ID: <{word}>\r\nContent-Type: {word}/x; name="{name}"\r\n\r\nx\r\n--b--\r\n'
        )
    )


def odd_characters(random_: random.Random) -> bytes:
    def odd(length: int) -> str:
        return "".join(random_.choice(ODD_TEXT) for _ in range(length))

    raw = _head(random_, Subject=odd(20), From=f"{odd(9)} <a@b.example>", X_Mailer=odd(99))
    raw += b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + _bytes(odd(_size(random_, 90_000)))
    return raw + random_.choice([b"", b"\xed\xa0\x80", b"\0" * 9_000])


def odd_fields(random_: random.Random) -> bytes:
    """Dates, addresses and ids that nobody may write."""
    people = ", ".join(random_.choice(ADDRESSES) for _ in range(random_.randint(0, 20)))
    ids = " ".join(f"<{random_.getrandbits(32)}@x>" for _ in range(_size(random_, 20_000)))
    return (
        _head(
            random_,
            From=random_.choice(ADDRESSES),
            To=people,
            Cc=people * random_.randint(0, 40),
            Date=random_.choice(DATES),
            Message_ID=random_.choice(
                ["", "<>", "x", "<" * 9_000, f"<{'a' * 10_000}@x>", "<a b>\0"]
            ),
            References=ids,
            In_Reply_To=random_.choice(["<", ids, "\0"]),
        )
        + b"\r\nx"
    )


SPECIAL = {
    "text/calendar; method=REQUEST": (
        b"BEGIN:VCALENDAR", b"METHOD:REQUEST", b"BEGIN:VTIMEZONE", b"TZID:X", b"END:VTIMEZONE", b"BEGIN:VEVENT",
        b"UID:1@x", b"DTSTART;TZID=Europe/Berlin:20261201T100000", b"DTEND:99999999T999999Z", b"SUMMARY:\\n\\,\0",
        b"DTSTART;TZID=../../etc/passwd:20260230T250000", b"RRULE:FREQ=SECONDLY;COUNT=999999999", b" folded",
        b"ORGANIZER;CN='a':mailto:a@b.example", b"BEGIN:VALARM", b"END:VALARM", b"END:VEVENT", b"END:VCALENDAR",
    ),
    "message/delivery-status": (
        b"Reporting-MTA: dns; mx.example", b"", b"Final-Recipient: rfc822; a@b.example", b"Action: failed",
        b"Action: \xff", b"Status: 5.1.1", b"Status: 9.9.999999999", b"Diagnostic-Code: smtp; 550 \0\r no",
        b"Original-Recipient: ;;;", b"Final-Recipient: utf-8; \xed\xa0\x80@b.example", b" ", b": x", b"x",
    ),
    "message/rfc822": (
        b"From: a@b.example", b"Message-ID: <inner@x>", b"Content-Type: multipart/mixed; boundary=b", b"", b"--b",
        b"Content-Type: message/rfc822", b"--b--", b"Subject: =?utf-8?b?////?=", b"\0",
    ),
    "application/ms-tnef; name=winmail.dat": (
        b"\x78\x9f\x3e\x22", b"\x01\x06\x90\x08\x00\x04\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00", b"winmail",
    ),
    "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m": (
        b"\x30\x80", b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", b"\x30\x84\xff\xff\xff\xff", b"\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
    ),
    "image/png; name=a.png": (b"\x89PNG\r\n\x1a\n", b"<svg onload=alert(1)>", b"GIF89a", b"RIFF\0\0\0\0WEBPVP", b"\xff\xd8\xff"),
}  # fmt: skip
"""What is looked into, by its claimed type: the pieces that are joined in any order, most in theirs."""


def special_parts(random_: random.Random) -> bytes:
    """Calendars, delivery reports, TNEF, S/MIME and pictures that are nearly what they claim."""
    outer = random_.choice(
        ["mixed", "report; report-type=delivery-status", "signed", "alternative"]
    )
    made = [_head(random_, Content_Type=f"multipart/{outer}; boundary=b") + b"\r\n"]
    for kind in random_.choices(sorted(SPECIAL), k=random_.randint(1, 4)):
        pieces = [piece for piece in SPECIAL[kind] if random_.random() < 0.8]
        if random_.random() < 0.3:
            random_.shuffle(pieces)
        pieces = [piece * random_.choice([1, 1, 1, 1, 1, 300]) for piece in pieces]
        content = random_.choice([b"\r\n", b"\r\n", b"\n", b"\r", b""]).join(pieces)
        encoding = random_.choice(["7bit", "base64", "quoted-printable", "binary"])
        coded = base64.encodebytes(content) if random_.random() < 0.5 else content
        made += [
            _bytes(f"--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"),
            coded,
            b"\r\n",
        ]
    return b"".join(made) + random_.choice([b"", b"--b--\r\n", b"--b--", b"--b"])


def boundaries(random_: random.Random) -> bytes:
    """Delimiters that are one another's beginning, that are odd, and that stand where none may."""
    name = random_.choice(["b", "b b", "", "-", "--", "b" * 90, "=_b", "\u00fc", "'", "b--"])
    given = random_.choice(
        [f'"{name}"', name, f"{name}; boundary=c", f"x; boundary*=utf-8''{name}"]
    )
    lines = [
        f"--{name}", f"--{name}--", f"--{name}x", f"-- {name}", f"--{name}  ", f" --{name}", f"--{name}----", "",
        "Content-Type: text/html", "Content-Type: text/plain; charset=utf-16", "Content-Type: multipart/mixed; boundary=c",
        f"Content-Type: multipart/mixed; boundary={name}", "--c", "--c--", "Content-Transfer-Encoding: base64", "text",
        "Content-Type: message/partial; id=a; number=1; total=9", "Content-Type: message/external-body; access-type=URL",
        "Content-Disposition: attachment; filename*0=a; filename*2=c", "\0", "From me",
    ]  # fmt: skip
    body = (
        random_.choice(lines) + random_.choice(["\r\n", "\n", "\r"])
        for _ in range(_size(random_, 900))
    )
    return (
        _head(random_, Content_Type=f"multipart/mixed; boundary={given}")
        + b"\r\n"
        + _bytes("".join(body))
    )


def hostile_html(random_: random.Random) -> bytes:
    """Vectors nested and cut, in whatever a text is sent in."""
    html = "".join(random_.choices(VECTORS, k=random_.randint(1, 20)))
    at = random_.randrange(len(html) + 1)
    charset = random_.choice(["utf-8", "utf-16", "utf-7", "iso-2022-jp", "gb18030", "latin-1"])
    coded = (html[at:] + html[:at]).encode(random_.choice(["utf-8", charset]), "replace")
    encoding = random_.choice(["8bit", "base64", "quoted-printable"])
    head = _head(
        random_, Content_Type=f"text/html; charset={charset}", Content_Transfer_Encoding=encoding
    )
    return head + b"\r\n" + (base64.encodebytes(coded) if encoding == "base64" else coded)


def line_ends(random_: random.Random) -> bytes:
    """A real message whose line ends are of every kind, and here and there none."""
    ends = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\r\n",
        b"\n\r",
        b"\x0b",
        b"\x0c",
        b"\x85",
        b"\xe2\x80\xa8",
        b"",
    ]
    return b"".join(line + random_.choice(ends) for line in random_.choice(SEEDS).splitlines())


def nothing(random_: random.Random) -> bytes:
    return random_.choice([b"", b"\r\n", b" \r\n\t", b"\r\n\r\n", b"\n" * 9_000])


def noise(random_: random.Random) -> bytes:
    return random_.randbytes(_size(random_, MEGABYTE))


def bomb(random_: random.Random) -> bytes:
    return BOMBS[random_.choice(sorted(BOMBS))]()


QUICK: dict[str, Callable[[random.Random], bytes]] = {
    made.__name__: made
    for made in (
        nesting, huge_headers, broken_charsets, packed, header_injection, odd_characters, odd_fields, nothing,
        noise, mutated, special_parts, boundaries, hostile_html, line_ends,
    )
}  # fmt: skip
SLOW: dict[str, Callable[[random.Random], bytes]] = {
    made.__name__: made for made in (large_bodies, html_bombs, bomb)
}
"""As large as is taken in, or as dear to look at as the caps permit: a tenth of a second and more."""
KINDS = QUICK | SLOW
ONE_IN = 100
"""Of so many one is slow: all of them, and the slow ones among themselves, come in turn."""


def kind_of(number: int) -> str:
    """Return the kind of mail `number` of any seed."""
    turn, kinds = (number // ONE_IN, SLOW) if number % ONE_IN == 0 else (number, QUICK)
    return sorted(kinds)[turn % len(kinds)]


def hostile(seed: int, number: int) -> tuple[str, bytes]:
    """Return mail `number` of a seed, and of what kind it is."""
    kind = kind_of(number)
    return kind, KINDS[kind](random.Random(f"{seed}/{number}"))

"""Messages made to cost a reader minutes or gigabytes, and a run over all of them in a process of its own."""

import json
import time
from datetime import UTC, datetime

from shared.domain.contents import MOST_LOOKED_AT
from shared.domain.errors import UnreadableMessageError
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, FetchedPart, Flags
from shared.mime.parse import MimeParser
from shared.mime.sanitise import sanitise
from shared.providers.imap.fetching import HEADER_BYTES
from shared.providers.imap.structure import LARGEST_TEXT, MOST_TEXTS
from tests.performance.memory import peak_megabytes

MEGABYTE = 1024 * 1024
NOW = datetime(2026, 11, 21, tzinfo=UTC)
HEAD = b"From: a@b.example\r\nMessage-ID: <x@b.example>\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def nested(depth: int, filling: bytes = b"x\n") -> bytes:
    levels = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )
    return HEAD.replace(b"\r", b"") + levels + b"\n" + filling


def html(body: str) -> bytes:
    return HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()


BOMBS = {
    "subject of encoded words": lambda: (
        HEAD + b"Subject: " + b"=?utf-8?q?a?= " * (MEGABYTE // 14) + b"\r\n\r\nx"
    ),
    "subject of unended words": lambda: (
        HEAD + b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\r\n\r\nx"
    ),
    "subject of ten megabytes": lambda: HEAD + b"Subject: " + b"a" * 10 * MEGABYTE + b"\r\n\r\nx",
    "100,000 headers": lambda: (
        HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\nx"
    ),
    "one header in a million lines": lambda: HEAD + b"X: a\r\n" + b" b\r\n" * 1_000_000 + b"\r\nx",
    "50,000 recipients": lambda: (
        HEAD + b"To: " + b", ".join(b"a%d@b.example" % n for n in range(50_000)) + b"\r\n\r\nx"
    ),
    "recipients in 900 headers": lambda: (
        HEAD + b"".join(b"To: a%d@b.example, foo\r\n" % n * 20 for n in range(45)) + b"\r\nx"
    ),
    "comments without end": lambda: HEAD + b"To: " + b"(" * MEGABYTE + b"\r\n\r\nx",
    "quotes in an address": lambda: HEAD + b"To: foo, " + b'"\\' * 100_000 + b"\r\n\r\nx",
    "10,000 references": lambda: (
        HEAD
        + b"References: "
        + b" ".join(b"<%d@r.example>" % n for n in range(10_000))
        + b"\r\n\r\nx"
    ),
    "angle brackets": lambda: HEAD + b"References: " + b"<" * MEGABYTE + b"\r\n\r\nx",
    "300 levels": lambda: nested(300),
    "10,000 levels": lambda: nested(10_000),
    "50 levels around 40 MB": lambda: nested(49, b"--x\n" * (10 * MEGABYTE)),
    "messages in messages": lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 5_000 + b"x",
    "10,000 parts": lambda: MIXED + b"--b\r\n\r\nx\r\n" * 10_000 + b"--b--\r\n",
    "10,000 attachments": lambda: (
        MIXED
        + b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a\r\n\r\nx\r\n"
        * 10_000
        + b"--b--\r\n"
    ),
    "a million delimiters": lambda: MIXED + b"--b\r\n" * 1_000_000,
    "file name of encoded words": lambda: (
        MIXED
        + b'--b\r\nContent-Disposition: attachment; filename="'
        + b"=?utf-8?q?a?= " * 80_000
        + b'"\r\n\r\nx\r\n--b--\r\n'
    ),
    "parameters, broken body": lambda: (
        MIXED
        + b"--b\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/plain"
        + b';"' * 200_000
        + b"\r\n\r\n!\r\n--b--\r\n"
    ),
    "broken base64 of 45 MB": lambda: (
        MIXED
        + b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + (b"A" * 76 + b"\r\n") * 600_000
        + b"A\r\n--b--\r\n"
    ),
    "broken base64 of one line": lambda: (
        HEAD
        + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b"\xc3" * (49 * MEGABYTE)
    ),
    "base64 text of short lines": lambda: (
        HEAD
        + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nA\r\n"
        + b"\r\n" * 20_000_000
    ),
    "empty lines": lambda: b"\r\n" * (20 * MEGABYTE),
    "mbox lines": lambda: b"From x\n" * (6 * MEGABYTE),
    "no line end": lambda: b"a" * 50 * MEGABYTE,
    "carriage returns": lambda: HEAD + b"\r" * 40 * MEGABYTE,
    "nuls": lambda: b"\0" * 40 * MEGABYTE,
    "50 MB of one letter": lambda: HEAD + b"\r\n" + b"a" * (49 * MEGABYTE),
    "50 MB of broken UTF-8": lambda: (
        HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b"\xc3" * (49 * MEGABYTE)
    ),
    "escapes": lambda: (
        HEAD
        + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + b"=ZZ" * (16 * MEGABYTE)
    ),
    "html, deep": lambda: html("<div>" * 200_000 + "x"),
    "html, deep behind comments": lambda: html("<div><!--</div>-->" * 50_000 + "x"),
    "html, deep behind attributes": lambda: html("<div a='</div>'>" * 60_000 + "x"),
    "html, deep behind scripts": lambda: html("<div><script>'</div>'</script>" * 30_000 + "x"),
    "html, attributes": lambda: html("<p " + " ".join(f"a{n}" for n in range(200_000)) + ">x"),
    "html, quoted attributes": lambda: html(
        "<p " + " ".join(f"a{n}='>'" for n in range(60_000)) + ">x"
    ),
    "html, formatting opened anew": lambda: html(
        "<p>" + "".join(f"<b a={n}>" for n in range(400)) + "x<p>" * 100_000
    ),
    "html, unended": lambda: html("<a " * 300_000),
    "html, comments unended": lambda: html("<!--" * 250_000),
    "html, entities": lambda: html("&amp" * 250_000 + "&" * 10_000),
    "html, bare ampersands": lambda: html("&" * MEGABYTE),
    "html, ampersands between letters": lambda: html("abcdefghi&" * (MEGABYTE // 10)),
    "html, no-break spaces": lambda: html("\xa0" * (MEGABYTE // 2)),
    "html, references to no-break spaces": lambda: html("&#160;" * (MEGABYTE // 6)),
    "html, ampersands in attributes": lambda: html(f"<p title='{'&' * 50_000}'>x</p>" * 20),
    "html, angle brackets": lambda: html("< " * (MEGABYTE // 2)),
    "html, quotation marks": lambda: html('"' * MEGABYTE),
    "delivery reports": lambda: (
        MIXED
        + (b"--b\r\nContent-Type: message/delivery-status\r\n\r\na: b\n" + b" \n" * 33_000) * 700
    ),
    "delivery reports of continued lines": lambda: (
        MIXED
        + (
            b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            + "Diagnostic-Code: \U0001f600\n".encode()
            + b" x\n" * 20_000
        )
        * 60
    ),
    "calendars": lambda: (
        MIXED
        + (b"--b\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\n" + b"A:b\n" * 17_000) * 700
    ),
    "quote lines": lambda: HEAD + b"\r\n" + b"On wrote:\r\n" * 1_000_000,
}


def in_parts(kind: str, content: bytes) -> FetchedMessage:
    """As many text leaves, as large, as are ever fetched of one message."""
    part = FetchedPart("1", kind, "utf-8", "quoted-printable", content)
    return FetchedMessage(
        ProviderMessageId("1"), NOW, 50 * MEGABYTE, Flags(),
        header=HEAD + b"X: " + b"=?utf-8?q?a?= " * (HEADER_BYTES // 14), parts=(part,) * MOST_TEXTS,
    )  # fmt: skip


BOMBS_IN_PARTS = {
    "in parts: escapes": lambda: in_parts("text/plain", b"=ZZ" * (LARGEST_TEXT // 3)),
    "in parts: broken UTF-8": lambda: in_parts("text/plain", b"\xc3" * LARGEST_TEXT),
    "in parts: html": lambda: in_parts("text/html", b"<div><b>x" * (LARGEST_TEXT // 9)),
}


def main() -> None:
    parser = MimeParser()
    found = {}
    for name, make in (BOMBS | BOMBS_IN_PARTS).items():
        raw = make()
        message = (
            raw
            if isinstance(raw, FetchedMessage)
            else FetchedMessage(ProviderMessageId("1"), NOW, len(raw), Flags(), raw=raw)
        )
        began = time.process_time()
        try:
            parsed = parser.parse(message)
            if parsed.html:
                sanitise(parsed.html)
            for attachment in parsed.attachments[:MOST_LOOKED_AT]:
                parser.recognise(attachment.content_type, attachment.content or b"")
            outcome = ",".join(parsed.defects)
        except UnreadableMessageError as error:
            outcome = f"{error.code} {error.cause}"
        seconds = time.process_time() - began
        megabytes = peak_megabytes()
        found[name] = {"seconds": seconds, "megabytes": megabytes, "outcome": outcome}
        del raw, message
    print(json.dumps(found))


if __name__ == "__main__":
    main()

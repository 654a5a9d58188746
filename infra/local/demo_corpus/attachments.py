"""Decides what hangs on the demo's mail: small, valid files made here, the same every time."""

from __future__ import annotations

import datetime as dt
import struct
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file: its name, its media type in two halves, its bytes."""

    name: str
    main_type: str
    sub_type: str
    content: bytes


def make_attachment(kind: str, number: int, day: dt.date) -> Attachment:
    """Return a file of that kind; ``number`` and ``day`` make it different from the others.

    Args:
        kind: pdf, png, ics or csv.
    """
    if kind == "pdf":
        text = f"Document {number:05d} of {day.isoformat()}"
        return Attachment(f"document-{number:05d}.pdf", "application", "pdf", _pdf(text))
    if kind == "png":
        return Attachment(f"photo-{number:05d}.png", "image", "png", png(48, 32, number))
    if kind == "ics":
        return Attachment("invitation.ics", "text", "calendar", _invitation(number, day))
    return Attachment(f"price-list-{day.year}.csv", "text", "csv", _price_list(number))


def png(width: int, height: int, seed: int) -> bytes:
    """Return an RGB picture with a gradient whose colour depends on ``seed``."""
    red, green = seed * 37 % 256, seed * 91 % 256
    rows = b"".join(
        b"\0" + b"".join(bytes((red, (green + 4 * x) % 256, 5 * y % 256)) for x in range(width))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pdf(text: str) -> bytes:
    drawing = f"BT /F1 18 Tf 72 760 Td ({text}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return made + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (table, len(made))
    )


def _invitation(number: int, day: dt.date) -> bytes:
    date = (day + dt.timedelta(days=6)).strftime("%Y%m%d")
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Lumen and Rowe//Demo//EN",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:visit-{number}@mailroom.example",
        f"DTSTAMP:{day.strftime('%Y%m%d')}T080000Z",
        f"DTSTART:{date}T090000Z",
        f"DTEND:{date}T100000Z",
        "SUMMARY:Site visit",
        "ORGANIZER:mailto:ada@mailroom.example",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return "\r\n".join(lines).encode()


def _price_list(number: int) -> bytes:
    rows = ["article;name;net price EUR"]
    names = ("Halo 40", "Linea track", "Pico desk", "Fjord wall", "Meridian spot", "Aurora dimmer")
    rows += [
        f"{100 + at};{name};{(number * 7 + at * 31) % 400 + 20},90" for at, name in enumerate(names)
    ]
    return ("\r\n".join(rows) + "\r\n").encode()

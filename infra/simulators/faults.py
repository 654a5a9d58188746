"""Decides the ways a server can misbehave at any point of any protocol, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.simulators.wire import Wire

DRIP_SECONDS = 1.0
_MEBIBYTE = 1024 * 1024
_LONG_LINE_BYTES = 32 * _MEBIBYTE
_PARENTHESES = 100_000


def _drop(wire: Wire, _line: bytes) -> None:
    wire.drop()


def _half_line(wire: Wire, line: bytes) -> None:
    wire.send(line[: len(line) // 2])
    wire.drop()


def _reset(wire: Wire, _line: bytes) -> None:
    wire.reset()


def _silence(wire: Wire, _line: bytes) -> None:
    wire.hold()


def _drip(wire: Wire, line: bytes) -> None:
    wire.drip(line, DRIP_SECONDS)


def _chatter(wire: Wire, line: bytes) -> None:
    while True:
        wire.send(line)
        wire.wait(0.2)


def _flood(wire: Wire, line: bytes) -> None:
    lines = line * 1000
    while True:
        wire.send(lines)


def _long_line(wire: Wire, line: bytes) -> None:
    wire.send(line.rstrip())
    for _ in range(_LONG_LINE_BYTES // _MEBIBYTE):
        wire.send(b"x" * _MEBIBYTE)
    wire.send(b"\r\n")
    wire.hold()


def _huge_literal(wire: Wire, _line: bytes) -> None:
    wire.send(b"* 1 FETCH (UID 1 BODY[] {3000000000}\r\n")
    while True:
        wire.send(b"x" * _MEBIBYTE)


def _half_literal(wire: Wire, _line: bytes) -> None:
    wire.send(b"* 1 FETCH (UID 1 BODY[] {100000}\r\n" + b"Subject: half\r\n" * 10)
    wire.drop()


def _parentheses(wire: Wire, _line: bytes) -> None:
    wire.send(b"* LIST " + b"(" * _PARENTHESES + b"\r\n")
    wire.send(b"* 1 FETCH (UID 1 BODYSTRUCTURE " + b"(" * _PARENTHESES + b"\r\n")
    wire.hold()


def _garbage(wire: Wire, _line: bytes) -> None:
    wire.send(bytes(range(256)) * 4 + b"\r\n\x00\xff\xfe* {-1}\r\n+\r\n* \r\n\r\n")
    wire.drop()


def _http(wire: Wire, _line: bytes) -> None:
    wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    wire.drop()


FAULTS: Mapping[str, Callable[[Wire, bytes], None]] = {
    "drop": _drop,
    "half_line": _half_line,
    "reset": _reset,
    "silence": _silence,
    "drip": _drip,
    "chatter": _chatter,
    "flood": _flood,
    "long_line": _long_line,
    "huge_literal": _huge_literal,
    "half_literal": _half_literal,
    "parentheses": _parentheses,
    "garbage": _garbage,
    "http": _http,
}
"""By name: what the server does instead of answering.

Each is called with the connection and a line of the protocol that ends nothing, which a patient
client would read past for ever.
"""

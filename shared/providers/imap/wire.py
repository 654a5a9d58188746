"""Decides how commands and answers travel: many commands in one write, answers read under caps.

One write and one wait is a round trip however many commands it carries; that is what makes an idle
poll cheap. A server may work on commands written together at once, and Dovecot does: the responses
to one may arrive before the end of another, so they are told apart by what they say. Sizes are
judged before they are read, because a server may announce three gigabytes.
"""

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.providers.imap import errors, grammar
from shared.providers.network import Connection

LONGEST_LINE = 16 << 20
"""Bytes in a line: a SEARCH answer of a million numbers fits, an endless line does not."""
LARGEST_LITERAL = 16 << 20
"""Bytes in a literal; what is larger is asked for in slices, so a server with more is broken."""
LARGEST_ANSWER = 64 << 20
"""Bytes of untagged responses kept for one write."""
EXCHANGE_SECONDS = 120.0
"""A write's answers must be complete by then, however steadily the server drips."""
UPLOAD_SECONDS = 300.0
"""The same for what we send as a literal, which is as large as a mail."""
_CHUNK = 64 << 10
_MOST_LINES_AHEAD = 1_000
"""Before a server says whether it wants a literal."""
_LITERAL = re.compile(rb"\{([0-9]{1,19})\+?\}\Z")
_STATUS_KINDS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


@dataclass(slots=True)
class Answer:
    """What one command brought: its status and the untagged responses read before its end."""

    tag: bytes
    untagged: list[list[bytes]] = field(default_factory=list)
    status: grammar.StatusText | None = None

    @property
    def ok(self) -> bool:
        """Whether the server did it."""
        return self.status is not None and self.status.kind == "OK"

    @property
    def refusal(self) -> grammar.StatusText:
        """The status of a command that was not done."""
        return self.status or grammar.StatusText("BAD", text="no answer")

    def require_ok(self) -> "Answer":
        """Return this answer, or raise what the refusal means."""
        if not self.ok:
            raise errors.from_imap_command(self.refusal)
        return self


OnUntagged = Callable[[list[bytes]], None]


@dataclass(slots=True)
class Pending:
    """Commands that were written and whose answers are still to be read."""

    answers: list[Answer]
    on_untagged: OnUntagged | None
    """Gets the untagged responses one by one; without it they are kept in the answers."""
    is_read: bool = False


class Wire:
    """Writes commands to a connection and reads their answers. Not thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._outstanding: deque[Pending] = deque()
        self._is_broken = False
        self.round_trips = 0
        """How often we wrote and then waited."""

    @property
    def bytes_in(self) -> int:
        """Bytes received, as plain text."""
        return self._connection.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes sent, as plain text."""
        return self._connection.bytes_out

    def exchange(
        self, commands: Iterable[bytes], *, on_untagged: OnUntagged | None = None
    ) -> list[Answer]:
        """Write all of `commands` at once and return an answer for each, done or refused.

        With `on_untagged` the untagged responses go there one by one and are not kept.
        """
        self.drain()
        return self.collect(self._send(commands, on_untagged))

    def send(self, commands: Iterable[bytes], *, on_untagged: OnUntagged) -> Pending:
        """Write `commands` and return without waiting.

        Whatever is read until they are answered also goes to `on_untagged`: with several commands
        under way nothing says which of them brought a response. Keep what you know, drop the rest.
        """
        return self._send(commands, on_untagged)

    def _send(self, commands: Iterable[bytes], on_untagged: OnUntagged | None) -> Pending:
        pending = Pending(self._write_commands(commands), on_untagged)
        self._outstanding.append(pending)
        return pending

    def _write_commands(self, commands: Iterable[bytes]) -> list[Answer]:
        lines: list[bytes] = []
        answers: list[Answer] = []
        for command in commands:
            grammar.refuse_controls(command)
            tag = b"M%d" % next(self._numbers)
            lines.append(tag + b" " + command + b"\r\n")
            answers.append(Answer(tag))
        if lines:
            self._write(b"".join(lines))
            self.round_trips += 1
        return answers

    def collect(self, pending: Pending) -> list[Answer]:
        """Wait for the answers to `pending`; those of commands written before it are read first."""
        while not pending.is_read:
            self._read(self._outstanding.popleft())
        return pending.answers

    def upload(self, command: bytes, literal: bytes) -> Answer:
        """Write `command` ending in a literal and return its answer; two round trips.

        The server is asked first whether it wants the literal (RFC 3501, 4.3): what it refuses
        for its size is not sent.
        """
        self.drain()
        (answer,) = self._write_commands([b"%b {%d}" % (command, len(literal))])
        pending = Pending([answer], None)
        try:
            if not self._may_go_on(answer):
                return answer
            self._connection.begin_exchange(UPLOAD_SECONDS)
            for start in range(0, len(literal), _CHUNK):
                self._connection.sendall(literal[start : start + _CHUNK])
        except MailroomError:
            self._is_broken = True
            raise
        self._write(b"\r\n")
        self.round_trips += 1
        self._outstanding.append(pending)
        return self.collect(pending)[0]

    def _may_go_on(self, answer: Answer) -> bool:
        for _ in range(_MOST_LINES_AHEAD):
            line = self.read_response()[0]
            if line[:1] == b"+":
                return True
            if line.startswith(answer.tag + b" "):
                answer.status = grammar.status_text(line)
                return False
            if line[:5].upper() == b"* BYE":
                raise errors.from_imap_command(
                    grammar.status_text(line) or grammar.StatusText("BYE")
                )
        raise _violation("neither a yes nor a no")

    def drain(self) -> None:
        """Read all answers still outstanding, so that the next ones belong to the next command."""
        while self._outstanding:
            self._read(self._outstanding.popleft())

    def logout(self) -> None:
        """Say goodbye and close, without waiting for the answer."""
        try:
            if not self._is_broken:
                self._write(b"M0 LOGOUT\r\n")
        except MailroomError:
            # The session's own outcome stands; that the server left first adds nothing to it.
            self._is_broken = True
        finally:
            self._connection.close()

    def _write(self, data: bytes) -> None:
        self._connection.begin_exchange(EXCHANGE_SECONDS)
        try:
            self._connection.sendall(data)
        except MailroomError:
            self._is_broken = True
            raise

    def _read(self, pending: Pending) -> None:
        self._connection.begin_exchange(EXCHANGE_SECONDS)
        try:
            for answer in pending.answers:
                self._read_until_done(pending, answer)
        except BaseException:  # boundary: noted, and it goes on
            # What is left on the wire belongs to nobody; the session cannot go on.
            self._is_broken = True
            raise
        pending.is_read = True

    def _read_until_done(self, pending: Pending, answer: Answer) -> None:
        kept = 0
        prefix = answer.tag + b" "
        under_way = (pending, *self._outstanding)
        # Two batches of one fetch share a handler, which then gets a response once.
        handlers = {one.on_untagged: None for one in under_way if one.on_untagged}
        while answer.status is None:
            response = self.read_response()
            line = response[0]
            if line.startswith(prefix):
                answer.status = grammar.status_text(line)
                if answer.status is None:
                    raise _violation("a tagged line without a status")
            elif not line.startswith(b"* "):
                raise _violation("a line that answers nothing")
            elif line[2:5].upper() == b"BYE":
                status = grammar.status_text(line)
                raise errors.from_imap_command(status or grammar.StatusText("BYE"))
            elif handlers:
                for handle in handlers:
                    handle(response)
            else:
                kept += sum(map(len, response))
                if kept > LARGEST_ANSWER:
                    raise _violation("an endless answer")
                answer.untagged.append(response)

    def read_response(self) -> list[bytes]:
        """Return the next response: a line, or lines and literals by turns."""
        line = self._read_line()
        response = [line]
        if line[:2] != b"* " or line[2:9].upper().startswith(_STATUS_KINDS):
            return response
        size = 0
        while line[-1:] == b"}" and (match := _LITERAL.search(line[-24:])):
            size += int(match[1])
            if size > LARGEST_LITERAL:
                raise _violation(f"a literal of {match[1].decode()} bytes")
            response.append(self._connection.read(int(match[1])))
            line = self._read_line()
            response.append(line)
        return response

    def _read_line(self) -> bytes:
        line = self._connection.readline(LONGEST_LINE)
        if line[-1:] != b"\n":
            raise _violation("an endless line")
        return line.rstrip(b"\r\n")


def untagged(answers: Sequence[Answer], name: bytes) -> list[list[bytes]]:
    """Return the untagged responses called `name`, whichever command they came with."""
    start = b"* " + name + b" "
    return [
        response
        for answer in answers
        for response in answer.untagged
        if response[0][: len(start)].upper() == start or response[0].upper() == start.rstrip()
    ]


def _violation(cause: str) -> RetryLaterError:
    return RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=cause)

"""Decides how a folder is opened and its status read: what look, list and fetch share."""

import contextlib
import re
from collections.abc import Iterable, Sequence

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.providers.imap import folders, grammar
from shared.providers.imap.folders import ListedFolder
from shared.providers.imap.login import Session
from shared.providers.imap.position import FolderStatus, read_status
from shared.providers.imap.wire import Answer, OnUntagged, untagged

_UIDVALIDITY = re.compile(rb"\* OK \[UIDVALIDITY ([0-9]{1,10})\]", re.IGNORECASE)
_FETCH = re.compile(rb"\* [0-9]+ FETCH \(", re.IGNORECASE)


class OpenFolders:
    """The folders of one session: their names, which is selected, what is asked of the selected."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.wire = session.wire
        self.has_modseq = session.can(b"CONDSTORE") or session.can(b"QRESYNC")
        self.has_qresync = session.can(b"QRESYNC") and session.can(b"ENABLE")
        self._names: dict[FolderId, bytes] = {}
        self._selected: bytes | None = None
        self._selected_uidvalidity = 0
        self._has_enabled = False

    def list_folders(self) -> Sequence[ListedFolder]:
        """List all folders; one round trip."""
        return self.take_listing(self.wire.exchange([self.list_command()]))

    def lists(self, folder: Folder) -> bool:
        """Whether the server now lists `folder` as one that can hold messages; one round trip."""
        listed = self.list_folders()
        return any(one.folder.id == folder.id and one.folder.selectable for one in listed)

    def list_command(self) -> bytes:
        """Return the command whose answer `take_listing` reads."""
        return folders.list_command(self.session.capabilities)

    def take_listing(self, answers: Sequence[Answer]) -> Sequence[ListedFolder]:
        """Return the folders of a listing; a failed or empty one raises, it never means none.

        Raises `GrammarError` too.
        """
        answers[0].require_ok()
        listed = folders.read_folders(answers)
        if not listed:
            raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause="no folder listed")
        self._names.update((one.folder.id, one.raw) for one in listed)
        return listed

    def name_of(self, folder: Folder) -> bytes:
        """Return the server's spelling of `folder`'s name; asks only where ours may differ from it.

        Raises `RetryLaterError` (`folder_unavailable`) for a folder that is gone.
        """
        raw = self._names.get(folder.id) or folders.raw_name(folder)
        if raw is None:
            self.list_folders()
            raw = self._names.get(folder.id)
        if raw is None or not folder.selectable:
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="no such folder")
        self._names[folder.id] = raw
        return raw

    def status_command(self, raw: bytes) -> bytes:
        """Return the STATUS command for a folder."""
        modseq = b" HIGHESTMODSEQ" if self.has_modseq else b""
        items = b" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN" + modseq + b")"
        return b"STATUS " + grammar.quoted(raw) + items

    def read_statuses(self, answers: Sequence[Answer]) -> dict[bytes, grammar.Value]:
        """Return the items of each STATUS response by the folder's name."""
        found: dict[bytes, grammar.Value] = {}
        for response in untagged(answers, b"STATUS"):
            try:
                # `*`, the word STATUS, name, items
                raw, items = (*grammar.parse(response), None, None)[2:4]
            except grammar.GrammarError:
                continue
            if isinstance(raw, bytes):
                found[b"INBOX" if raw.upper() == b"INBOX" else raw] = items
        return found

    def select_commands(
        self, raw: bytes, *, anew: bool = False, to_change: bool = False
    ) -> list[bytes]:
        """Return what selects a folder read-only, or nothing where it is, unless `anew`.

        `to_change`: not read-only, and anew.
        """
        if self._selected == raw and not (anew or to_change):
            return []
        self._selected = None
        commands = []
        if self.has_qresync and not self._has_enabled:
            # Possible only before the first folder is selected (RFC 5161, 3.1).
            commands.append(b"ENABLE QRESYNC")
        if self.session.can(b"ID") and not self._has_enabled:
            # 163.com opens no folder to a program that has not said its name (RFC 2971).
            commands.append(b'ID ("name" "Mailroom")')
        self._has_enabled = True
        return [*commands, (b"SELECT " if to_change else b"EXAMINE ") + grammar.quoted(raw)]

    def take_selection(
        self, raw: bytes, answers: Sequence[Answer], commands: Sequence[bytes]
    ) -> int:
        """Read what `commands` (from `select_commands`) brought and return the UIDVALIDITY.

        Raises `RetryLaterError` (`folder_unavailable`) where the folder cannot be selected.
        """
        if not commands:
            return self._selected_uidvalidity
        answer = answers[len(commands) - 1]  # what selects is the last of them
        if not answer.ok:
            raise _refused(answer)
        # Also those of other commands: responses are not bound to the command that caused them.
        lines = (response[0] for one in answers for response in one.untagged)
        found = [int(match[1]) for line in lines if (match := _UIDVALIDITY.match(line))]
        if not found or not found[-1]:
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="no UIDVALIDITY")
        self._selected, self._selected_uidvalidity = raw, found[-1]
        return found[-1]

    def select(self, raw: bytes) -> int:
        """Select a folder read-only and return its UIDVALIDITY; no round trip where it is."""
        commands = self.select_commands(raw)
        return self.take_selection(raw, self.wire.exchange(commands) if commands else [], commands)

    def status(self, raw: bytes) -> FolderStatus:
        """Return a folder's status; one round trip."""
        return self.take_status(raw, self.wire.exchange([self.status_command(raw)]))

    def take_status(self, raw: bytes, answers: Sequence[Answer]) -> FolderStatus:
        """Read what the STATUS command brought that comes first among those of `answers`.

        Raises `RetryLaterError` (`folder_unavailable`) where it was refused.
        """
        if not answers[0].ok:
            raise _refused(answers[0])
        found = self.read_statuses(answers)
        # One command has one answer, so a name spelled differently is still this folder.
        return read_status(found.get(raw, next(iter(found.values()), None)))

    def require_readable(self, raw: bytes) -> None:
        """Raise unless the server reads the oldest or the newest message of a folder; one exchange.

        A server in trouble refuses every message, often with no word about why. Only while it reads
        another is a refusal the message's own.
        """
        self.select(raw)
        asked = (b"FETCH " + number + b" (UID BODY.PEEK[]<0.1>)" for number in (b"1", b"*"))
        answers = self.wire.exchange(asked)
        for answer in answers:
            for response in answer.untagged:
                with contextlib.suppress(grammar.GrammarError):
                    items = read_fetch(response) or {}
                    if any(key.startswith(b"BODY[") and items[key] is not None for key in items):
                        return
        raise _refused(answers[-1])

    def fetch_each(self, sets: Iterable[bytes], items: bytes, take: OnUntagged) -> None:
        """Have `take` called with each FETCH response to `items` for `sets` of UIDs."""

        def only_fetches(response: list[bytes]) -> None:
            if _FETCH.match(response[0]):
                take(response)

        for uids in sets:
            command = b"UID FETCH " + uids + b" " + items
            self.wire.exchange([command], on_untagged=only_fetches)[0].require_ok()


def read_fetch(response: grammar.Response) -> dict[bytes, grammar.Value] | None:
    """Return the items of a FETCH response, or None for any other; raises `GrammarError`."""
    if not _FETCH.match(response[0]):
        return None
    values = grammar.parse(response)
    items = values[3] if len(values) > 3 else None  # noqa: PLR2004  # `*`, number, FETCH, items
    return grammar.pairs(items) if isinstance(items, list) else {}


def message_id(folder: Folder, uidvalidity: int, uid: int) -> ProviderMessageId:
    """Return the name of a copy: folder, generation of its numbering, number."""
    return ProviderMessageId(f"{folder.id}.{uidvalidity}.{uid}")


def uid_of(identifier: ProviderMessageId, uidvalidity: int) -> int | None:
    """Return the UID in a message's name, or None where it belongs to another numbering."""
    _folder, generation, uid = identifier.rsplit(".", 2)
    return int(uid) if generation == str(uidvalidity) else None


def _refused(answer: Answer) -> RetryLaterError:
    refusal = answer.refusal
    cause = f"{refusal.kind} [{refusal.code}] {refusal.text[:200]}"
    return RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause=cause)

"""The owner of a mailbox: what they do at their provider, and what is there in the end."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mailbox import Provider
from shared.domain.message import Flags
from shared.providers.gmail.labels import ARCHIVE
from tests.fakes.lasting_provider import LastingMailServer
from tests.fakes.provider import FakeMailServer, name_of


@dataclass(frozen=True)
class There:
    """A message at the provider."""

    folder_ids: frozenset[FolderId]
    received_at: datetime
    flags: Flags
    raw: bytes


class Owner(Protocol):
    """Messages and folders are named by the ids their provider gives them."""

    provider: Provider
    server: FakeMailServer | LastingMailServer

    def folders(self) -> list[Folder]: ...
    def messages(self) -> dict[ProviderMessageId, There]: ...
    def deliver(self, folder: FolderId, raw: bytes, at: datetime) -> ProviderMessageId: ...
    def mark(self, name: ProviderMessageId, *, seen: bool, flagged: bool) -> None: ...
    def move(self, name: ProviderMessageId, to: FolderId) -> None: ...
    def add_label(self, name: ProviderMessageId, label: FolderId) -> None: ...
    def delete(self, name: ProviderMessageId) -> None: ...
    def create_folder(self, name: str) -> None: ...
    def rename_folder(self, folder: FolderId, name: str) -> None: ...
    def delete_folder(self, folder: FolderId) -> None: ...
    def forget(self, folder: FolderId) -> None:
        """Let the positions of the folder, or of all, be worth nothing any more."""
        ...


class ImapOwner:
    """Where each folder numbers its messages."""

    provider = Provider.IMAP

    def __init__(self) -> None:
        self.server = FakeMailServer.with_folders("INBOX", "Sent", "Trash")
        self.server.compares_daily = True

    def folders(self):
        return [fake.folder for fake in self.server.folders.values()]

    def messages(self):
        return {
            name_of(fake, uid): There(
                frozenset({fake.folder.id}), mail.received_at, mail.flags, mail.raw
            )
            for fake in self.server.folders.values()
            for uid, mail in fake.mails.items()
        }

    def deliver(self, folder, raw, at):
        fake = self._fake(folder)
        return name_of(fake, self.server.deliver(fake.name, raw, at))

    def mark(self, name, *, seen, flagged):
        fake, uid = self._find(name)
        self.server.set_flags(fake.name, uid, Flags(seen=seen, flagged=flagged))

    def move(self, name, to):
        fake, uid = self._find(name)
        if fake.folder.id != to:
            self.server.move(fake.name, uid, self._fake(to).name)

    def add_label(self, name, label):
        self.move(name, label)

    def delete(self, name):
        fake, uid = self._find(name)
        self.server.delete(fake.name, uid)

    def create_folder(self, name):
        if name not in self.server.folders:
            self.server.create_folder(name)

    def rename_folder(self, folder, name):
        self.server.rename_folder(self._fake(folder).name, name)

    def delete_folder(self, folder):
        self.server.delete_folder(self._fake(folder).name)

    def forget(self, folder):
        self.server.renumber(self._fake(folder).name)

    def _fake(self, folder):
        (found,) = [one for one in self.server.folders.values() if one.folder.id == folder]
        return found

    def _find(self, name):
        for fake in self.server.folders.values():
            for uid in fake.mails:
                if name_of(fake, uid) == name:
                    return fake, uid
        raise AssertionError(name)


class LastingOwner:
    """Where a message keeps its id: with folders as at Outlook, or with labels as at Gmail."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.server = LastingMailServer(labels=provider is Provider.GMAIL)

    def folders(self):
        archive = [ARCHIVE] if self.server.labels else []
        return [*self.server.folders.values(), *archive]

    def messages(self):
        return {
            name: There(mail.folder_ids, mail.received_at, mail.flags, mail.raw)
            for name, mail in self.server.mails.items()
        }

    def deliver(self, folder, raw, at):
        return self.server.deliver(folder, raw, at)

    def mark(self, name, *, seen, flagged):
        flags = self.server.mails[name].flags
        self.server.set_flags(name, replace(flags, seen=seen, flagged=flagged))

    def move(self, name, to):
        self.server.move(name, to)

    def add_label(self, name, label):
        if self.server.labels and label != ARCHIVE.id:
            self.server.add_label(name, label)
        else:
            self.server.move(name, label)

    def delete(self, name):
        self.server.delete(name)

    def create_folder(self, name):
        self.server.create_folder(name)

    def rename_folder(self, folder, name):
        self.server.rename_folder(folder, name)

    def delete_folder(self, folder):
        self.server.delete_folder(folder)

    def forget(self, folder):
        self.server.forget_history()


def owner_at(provider: Provider) -> Owner:
    return ImapOwner() if provider is Provider.IMAP else LastingOwner(provider)


def is_own(folder: Folder) -> bool:
    """Whether the owner made it, and may rename or delete it."""
    return folder.role is FolderRole.OTHER

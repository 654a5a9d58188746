"""Worlds on the fakes whose messages keep their ids: one with folders, one with labels."""

from shared.domain.errors import ErrorCode
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.message import Flags
from shared.domain.secret import Secret
from tests.contract.gmail_world import GmailWorld
from tests.contract.moving_world import MovingWorld
from tests.contract.provider_worlds import Theirs
from tests.fakes.lasting_provider import LastingMailServer

_SIDE = ServerLogin(
    ServerSettings("mail.fake.example", 993, Security.TLS, "alice"), Secret("password of the fake")
)
_WRONG = ServerLogin(_SIDE.server, Secret("not the password"))


class Lasting(Theirs):
    """In the fake the operations are tested on."""

    def __init__(self, server: LastingMailServer) -> None:
        super().__init__()
        self._server = server

    def create_folder(self, name):
        self._server.create_folder(name)

    def _delete_folder(self, name):
        self._server.delete_folder(self._id(name))

    def _store(self, folder, raws, received_at, *, seen):
        place = self._id(folder)
        return [self._server.deliver(place, raw, received_at, seen=seen) for raw in raws]

    def _flag(self, folder, uid):
        self._server.set_flags(uid, Flags(seen=True, flagged=True, answered=True))

    def _expunge(self, folder, uid):
        self._server.delete(uid)

    def _move(self, folder, uid, to):
        self._server.move(ProviderMessageId(uid), self._id(to))
        return uid

    def _id(self, name) -> FolderId:
        (found,) = [one.id for one in self._server.folders.values() if one.name == name]
        return found


class _Refusing:
    wrong_code = ErrorCode.LOGIN_REJECTED
    compares_positions = False
    oldest_first = True
    wrong_grant = ImapGrant(_WRONG, _WRONG)


class FolderWorld(_Refusing, MovingWorld):
    """Each message in one folder."""


class LabelWorld(_Refusing, GmailWorld):
    """Each message in a set of labels."""


def with_folders() -> FolderWorld:
    return FolderWorld(*_at(LastingMailServer(labels=False)))


def with_labels() -> LabelWorld:
    return LabelWorld(*_at(LastingMailServer(labels=True)))


def _at(server: LastingMailServer):
    server.password = _SIDE.password.reveal()
    return server, ImapGrant(_SIDE, _SIDE), Lasting(server)

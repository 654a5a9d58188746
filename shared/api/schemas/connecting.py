"""What connecting, testing, reconnecting and disconnecting a mailbox take and give."""

from typing import Annotated

from pydantic import Field

from shared.api.schemas.fields import (
    ActiveFolders,
    AddressText,
    Given,
    GrantedTo,
    Host,
    Id,
    Line,
    Note,
    Shown,
    Username,
    readers_given,
)
from shared.api.schemas.fields import Password as PasswordText
from shared.api.schemas.verdicts import VerdictShown
from shared.domain.backfill import MAX_DAYS
from shared.domain.connecting import Wishes
from shared.domain.ids import FolderId, UserId
from shared.domain.mail_server import Security, ServerLogin, ServerSettings
from shared.domain.mailbox import MailboxKind, Purpose, StoredMail, Visibility
from shared.domain.secret import Secret
from shared.domain.visibility import DEFAULT_VISIBILITY
from shared.operations.connect_mailbox import ConnectRequest, ServerTest
from shared.operations.disconnect_mailbox import DisconnectionPreview
from shared.operations.reconnect_mailbox import ReconnectRequest

Port = Annotated[int, Field(ge=1, le=65_535, strict=True)]


class ImapServer(Given):
    """Where and how to log in by IMAP."""

    host: Host = Field(examples=["imap.example.org"])
    port: Port = 993
    security: Security = Security.TLS
    username: Username = Field(examples=["ann@example.org"])
    password: PasswordText
    allow_untrusted_certificate: bool = False


class SmtpServer(Given):
    """Where and how to log in by SMTP."""

    host: Host = Field(examples=["smtp.example.org"])
    port: Port = 587
    security: Security = Security.STARTTLS
    username: Username = Field(examples=["ann@example.org"])
    password: PasswordText
    allow_untrusted_certificate: bool = False


def _login(server: ImapServer | SmtpServer, *, allow_untrusted: bool) -> ServerLogin:
    return ServerLogin(
        ServerSettings(server.host, server.port, server.security, server.username),
        Secret(server.password.get_secret_value()),
        allow_untrusted_certificate=allow_untrusted or server.allow_untrusted_certificate,
    )


class TestServers(Given):
    """Both sides' logins, to be tried; nothing is stored."""

    __test__ = False

    imap: ImapServer
    smtp: SmtpServer
    allow_untrusted_certificate: bool = False
    """For both sides; each can also say so for itself."""

    def imap_login(self) -> ServerLogin:
        """Return what the IMAP side takes."""
        return _login(self.imap, allow_untrusted=self.allow_untrusted_certificate)

    def smtp_login(self) -> ServerLogin:
        """Return what the SMTP side takes."""
        return _login(self.smtp, allow_untrusted=self.allow_untrusted_certificate)


class Wished(Given):
    """How a mailbox is to be, chosen before it is connected."""

    display_name: Line = ""
    reply_to: AddressText | None = None
    kind: MailboxKind = MailboxKind.PERSONAL
    purpose: Purpose = Purpose.PERSONAL
    backfill_days: Annotated[int, Field(ge=0, le=MAX_DAYS, strict=True)] = 0
    """How many days of history to import; 0 is from now on."""
    active_folders: ActiveFolders | None = None
    """Ids of the folders to sync; null is all but trash, spam and drafts."""
    create_contacts: bool = False
    store: StoredMail = StoredMail.ALL
    """`contacts_only`: content of messages a contact takes part in alone.

    Of all others only headers are looked at, and nothing but the provider's id is kept. The history
    of a contact that is added later comes by itself.
    """
    visibility: Visibility | None = None
    """How much of its mail others are shown.

    By default `full` in a shared mailbox, which is there to be read by those it is granted to;
    `metadata` in a personal one.
    """
    granted_to: GrantedTo | None = None
    """Who may read a shared mailbox besides its owner: users, or `everyone` in the tenant.

    Has to be said of a shared mailbox; a list may be empty. A personal one takes none.
    """
    owner_user_id: Id | None = None
    recovery_note: Note = ""

    def to_wishes(self) -> Wishes:
        """Return what the operations take."""
        return Wishes(
            display_name=self.display_name,
            reply_to=self.reply_to,
            kind=self.kind,
            purpose=self.purpose,
            backfill_days=self.backfill_days,
            active_folders=folders_chosen(self.active_folders),
            create_contacts=self.create_contacts,
            store=self.store,
            visibility=self.visibility or DEFAULT_VISIBILITY[self.kind],
            granted_to=None if self.granted_to is None else readers_given(self.granted_to),
            owner_user_id=UserId(self.owner_user_id) if self.owner_user_id else None,
            recovery_note=self.recovery_note,
        )


class ConnectMailbox(TestServers, Wished):
    """An IMAP/SMTP mailbox to be connected."""

    address: AddressText = Field(examples=["ann@example.org"])

    def to_request(self) -> ConnectRequest:
        """Return what the operation takes."""
        return ConnectRequest(self.address, self.imap_login(), self.smtp_login(), self.to_wishes())


class ReconnectMailbox(TestServers):
    """New logins for the account that is connected already."""

    active_folders: ActiveFolders | None = None
    """The folders to sync from now on; null leaves them as they are."""

    def to_request(self) -> ReconnectRequest:
        """Return what the operation takes."""
        return ReconnectRequest(
            self.imap_login(), self.smtp_login(), folders_chosen(self.active_folders)
        )


class WarningShown(Shown):
    """Something that works and still deserves a look."""

    code: str
    message: str


class ServerTestShown(Shown):
    """The verdict on each side."""

    imap: VerdictShown
    smtp: VerdictShown
    warnings: list[WarningShown]

    @classmethod
    def of(cls, test: ServerTest) -> "ServerTestShown":
        """Show a test."""
        return cls(
            imap=VerdictShown.of(test.imap),
            smtp=VerdictShown.of(test.smtp),
            warnings=[WarningShown(code=one.code, message=one.message) for one in test.warnings],
        )


class Disconnection(Shown):
    """What disconnecting a mailbox touches. History is kept in any case."""

    mailbox_id: str
    address: str
    primary_of: list[str]
    """The users whose primary mailbox it is."""
    open_backfills: int
    queued_sends: int
    """Mails that wait or are on their way: they will not go out, but for one that a worker has."""
    sent_lately_by: list[str]
    """The users who sent through it in the last 30 days, who did so last first."""
    more_sends: bool
    """There are more mails than the 500 asked for last, which were looked at for both."""

    @classmethod
    def of(cls, preview: DisconnectionPreview) -> "Disconnection":
        """Show a preview."""
        return cls(
            mailbox_id=preview.mailbox.id,
            address=preview.mailbox.address,
            primary_of=list(preview.primary_of),
            open_backfills=preview.open_backfills,
            queued_sends=preview.queued_sends,
            sent_lately_by=list(preview.sent_lately_by),
            more_sends=preview.more_sends,
        )


def folders_chosen(chosen: list[str] | None) -> tuple[FolderId, ...] | None:
    """Return ids of folders as operations take them."""
    return None if chosen is None else tuple(FolderId(name) for name in chosen)

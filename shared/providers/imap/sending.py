"""Decides how the port `MailSender` is met by IMAP: submission sends, and IMAP shows what was sent.

Each side is logged in to when it is first needed, so that a mail is sent while IMAP is down, and
filed while submission is.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import FolderId
from shared.domain.mail_server import ImapGrant
from shared.domain.message import FetchedMessage
from shared.ports.provider import Grant
from shared.ports.sending import Accepted, Outgoing, Sighting
from shared.providers import presets
from shared.providers.imap import errors, smtp
from shared.providers.imap.adapter import Patience
from shared.providers.imap.login import open_session
from shared.providers.imap.sent_mail import SentMail, find_twice
from shared.providers.imap.session import OpenFolders
from shared.providers.imap.submission import Submission
from shared.providers.network import Network


class ImapSendSession:
    """A `SendSession` over submission and IMAP. Not thread-safe."""

    def __init__(
        self,
        grant: ImapGrant,
        network: Network,
        patience: Patience,
        pause: Callable[[float], None],
        *,
        seconds: float,
    ) -> None:
        self._grant = grant
        self._network = network
        self._patience = patience
        self._pause = pause
        self._ends_at = network.monotonic() + seconds
        self._client: smtp.GuardedSmtp | None = None
        self._submission: Submission | None = None
        self._folders: OpenFolders | None = None
        self._sent_mail: SentMail | None = None

    def prepare(self, mail: Outgoing, draft: str | None) -> str | None:
        """See `SendSession.prepare`; nothing lies ready anywhere but in this connection."""
        del draft
        if self._submission is None:
            self._submission = self._begin_submission()
        self._submission.begin(mail)
        return None

    def send(self, mail: Outgoing, draft: str | None) -> Accepted:
        """See `SendSession.send`."""
        del draft
        if self._submission is None:
            raise ValueError("nothing was prepared")
        return self._submission.finish(mail)

    @errors.unreadable_is_a_violation()
    def look_up(self, mail: Outgoing, draft: str | None) -> tuple[Sighting, Accepted | None]:
        """See `SendSession.look_up`; what is not there may still have been sent."""
        del draft
        found = self._sent().find(mail)
        if found is None:
            return Sighting.UNSEEN, None
        return Sighting.SENT, Accepted(provider_message_id=found.provider_message_id)

    @errors.unreadable_is_a_violation()
    def file(self, mail: Outgoing, accepted: Accepted) -> FetchedMessage | None:
        """See `SendSession.file`; a mailbox without a folder for sent mail gets one.

        The bytes are ours, whose they are there too but for what a server that saves them adds.
        """
        del accepted
        sent_mail = self._sent()
        found = find_twice(sent_mail, mail, self._pause)
        if found is None and not self._saves_sent():
            found = sent_mail.add(mail)
        return replace(found, raw=mail.blind_copy, header=None) if found else None

    @errors.unreadable_is_a_violation()
    def sent_folder(self) -> FolderId | None:
        """See `SendSession.sent_folder`."""
        folder = self._sent().folder()
        return folder.id if folder else None

    def discard(self, draft: str) -> None:
        """See `SendSession.discard`; there is never anything."""
        del draft

    def close(self) -> None:
        """Take leave of both servers without waiting for them; what was not sent is dropped."""
        if self._client is not None:
            with suppress(MailroomError):
                self._client.connection.sendall(b"QUIT\r\n")
            self._client.connection.close()
        if self._folders is not None:
            self._folders.wire.logout()

    def _begin_submission(self) -> Submission:
        client = smtp.log_in(self._grant.smtp, self._network, seconds=self._login_seconds())
        self._client = client
        # Between two replies a server may think as long as a step lasts.
        client.connection.set_session_limits(seconds=self._left(), stall_seconds=self._left())
        return Submission(client)

    def _sent(self) -> SentMail:
        if self._sent_mail is None:
            session, connection = open_session(
                self._grant.imap, self._network, seconds=self._login_seconds()
            )
            self._folders = OpenFolders(session)
            connection.set_session_limits(seconds=self._left(), stall_seconds=self._patience.stall)
            self._sent_mail = SentMail(self._folders)
        return self._sent_mail

    def _saves_sent(self) -> bool:
        return presets.saves_sent(self._grant.imap.server.host, self._grant.smtp.server.host)

    def _login_seconds(self) -> float:
        return min(self._patience.login, self._left())

    def _left(self) -> float:
        left = self._ends_at - self._network.monotonic()
        if left <= 0:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="no time left")
        return left


class ImapSender:
    """The `MailSender` for IMAP mailboxes. Thread-safe."""

    def __init__(
        self,
        network: Network,
        *,
        patience: Patience | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._network = network
        self._patience = patience or Patience()
        self._pause = pause

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[ImapSendSession]:
        """See `MailSender.open`; raises TypeError for a grant that is not logins."""
        if not isinstance(grant, ImapGrant):
            raise TypeError("an IMAP mailbox is opened by logins")
        longest = self._patience.session
        session = ImapSendSession(
            grant,
            self._network,
            self._patience,
            self._pause,
            seconds=longest if seconds is None else min(longest, seconds),
        )
        try:
            yield session
        finally:
            session.close()

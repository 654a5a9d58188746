"""What connecting through a provider's own sign-in takes and gives."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from shared.api.schemas.connecting import Wished
from shared.api.schemas.fields import AddressText, Given, MailboxIdText, Shown
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import MailboxId
from shared.domain.mailbox import Provider
from shared.operations.authorize_connection import AuthorizeRequest, Begun

ATTEMPT_COOKIE = "__Host-mailroom-attempt"
"""`__Host-`: over TLS, for this host alone; no neighbouring host can plant one (RFC 6265bis)."""
Answered = Annotated[str, StringConstraints(min_length=1, max_length=8_000)]


class SignInProvider(StrEnum):
    """A provider with a sign-in of its own."""

    GMAIL = "gmail"
    OUTLOOK = "outlook"


class AuthorizeConnection(Wished):
    """A mailbox to be connected, or reconnected, by signing in at its provider."""

    provider: SignInProvider
    return_url: str = Field(examples=["https://app.example.org/settings/mail"])
    """Where the browser comes back to; its origin must be on the operator's list."""
    mailbox_id: MailboxIdText | None = None
    """The mailbox to reconnect. It keeps its settings: only `active_folders` may be sent too."""
    address: AddressText | None = None
    """Fills in the provider's form; which account is connected is decided by who signs in."""

    def to_request(self) -> AuthorizeRequest:
        """Return what the operation takes; raises `RequestError(INVALID_REQUEST)`."""
        if self.mailbox_id is not None:
            settings = (Wished.model_fields.keys() & self.model_fields_set) - {"active_folders"}
            if settings:
                words = "A reconnected mailbox keeps its settings; change them with PATCH."
                fields = [(name, words) for name in sorted(settings)]
                raise RequestError(ErrorCode.INVALID_REQUEST, fields=fields)
        return AuthorizeRequest(
            Provider(self.provider),
            self.return_url,
            MailboxId(self.mailbox_id) if self.mailbox_id else None,
            self.address or "",
            self.to_wishes(),
        )


class Authorization(Shown):
    """Where the person signs in, and until when they have to be back."""

    authorize_url: str
    expires_at: datetime

    @classmethod
    def of(cls, begun: Begun) -> "Authorization":
        """Show an attempt that has begun."""
        return cls(authorize_url=begun.authorize_url, expires_at=begun.expires_at)


class CompleteConnection(Given):
    """What the browser came back with: the fields of the fragment, as they are."""

    provider: SignInProvider
    state: Answered
    code: Answered
    iss: Answered | None = None
    """Where the fragment has it."""

    def to_answer(self) -> dict[str, str]:
        """Return what the operation takes."""
        answer = {"state": self.state, "code": self.code}
        return answer if self.iss is None else {**answer, "iss": self.iss}

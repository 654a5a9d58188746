"""As whom a mail goes out: never as anybody else than the mailbox it goes out from."""

from shared.domain.addresses import canonical_address
from shared.domain.composing import NamedAddress, sendable_address
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.mailbox import Mailbox


def sender_of(mailbox: Mailbox, address: str | None, name: str | None) -> NamedAddress:
    """Return the mailbox's own address, or the alias that is named, as From has it.

    `name`: what to be called; None: as the alias is, else as the mailbox is.

    Raises `RequestError(SENDER_NOT_VERIFIED)` for any other address: one the account was called
    formerly, or an alias that was not verified, too.
    """
    wanted = canonical_address(mailbox.address if address is None else address)
    if wanted is not None and wanted == canonical_address(mailbox.address):
        return _named(mailbox.address, mailbox.display_name if name is None else name)
    for alias in mailbox.aliases:
        if alias.verified_at is not None and canonical_address(alias.address) == wanted:
            default = alias.display_name or mailbox.display_name
            return _named(alias.address, default if name is None else name)
    raise RequestError(ErrorCode.SENDER_NOT_VERIFIED)


def _named(address: str, name: str) -> NamedAddress:
    return NamedAddress(sendable_address(address, "from"), name)

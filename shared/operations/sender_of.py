"""As whom a mail goes out: never as anybody else than the mailbox it goes out from.

Most programs show what From is called and hide its address, so nor may what is chosen for a mail
be another address.
"""

import re
import unicodedata

from shared.domain.addresses import canonical_address
from shared.domain.composing import NamedAddress, sendable_address
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.mailbox import Mailbox

_LIKE_AN_ADDRESS = re.compile(r"[<>]|[^\s@]@[^\s@]")


def sender_of(mailbox: Mailbox, address: str | None, name: str | None) -> NamedAddress:
    """Return the mailbox's own address, or the alias that is named, as From has it.

    `name`: what to be called; None: as the alias is, else as the mailbox is.

    Raises `RequestError(SENDER_NOT_VERIFIED)` for any other address: one the account was called
    formerly, or an alias that was not verified, too; `INVALID_REQUEST` for a name that is one.
    """
    wanted = canonical_address(mailbox.address if address is None else address)
    if wanted is not None and wanted == canonical_address(mailbox.address):
        return _named(mailbox.address, name, mailbox.display_name)
    for alias in mailbox.aliases:
        if alias.verified_at is not None and canonical_address(alias.address) == wanted:
            return _named(alias.address, name, alias.display_name or mailbox.display_name)
    raise RequestError(ErrorCode.SENDER_NOT_VERIFIED)


def _named(address: str, name: str | None, default: str) -> NamedAddress:
    # Letters that only look like an @ or a < are what they look like, to whoever reads them.
    seen = unicodedata.normalize("NFKC", name or "")
    if _LIKE_AN_ADDRESS.search(seen) and canonical_address(seen) != canonical_address(address):
        reason = "A name, and no other address than the one the mail leaves from."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("from.name", reason)])
    return NamedAddress(sendable_address(address, "from"), default if name is None else name)

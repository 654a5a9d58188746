"""Decides which texts are host names, and their one form."""

import re

import idna

from shared.domain.errors import ErrorCode, RequestError, RetryLaterError

_LONGEST_NAME = 253
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*"
)


def canonical_name(host: str) -> str:
    """Return `host` in ASCII lower case without a final dot; raises for what is no host name."""
    host = host.strip(" ").removesuffix(".")
    if not host or len(host) > _LONGEST_NAME:
        raise RetryLaterError(ErrorCode.HOST_NOT_FOUND, cause="empty or too long")
    if host.isascii():
        name = host.lower()
    else:
        try:
            name = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise RetryLaterError(ErrorCode.HOST_NOT_FOUND, cause="not a host name") from error
        if name[-1:].isdigit():
            # ①②⑦.0.0.1 becomes an address only by mapping: nobody means well with that.
            raise RequestError(ErrorCode.HOST_NOT_ALLOWED, cause="an address in other digits")
    if ":" not in name and not _NAME.fullmatch(name):
        raise RetryLaterError(ErrorCode.HOST_NOT_FOUND, cause="not a host name")
    return name

"""Decides whose account an id token names, and whether it can be believed.

msal checks the nonce and nothing else. The signature is checked by the keys of the authority that
was asked, the issuer by its own directory's: `common` publishes one with a gap, and a token of
another directory or cloud must not fill it as it likes
(learn.microsoft.com/entra/identity-platform/access-tokens). An e-mail address in it proves nothing:
a directory writes into it what it wants.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.errors import ErrorCode, MailroomError, RequestError, RetryLaterError

if TYPE_CHECKING:
    from jwt import PyJWK

CLOCK_SECONDS = 300
"""How far two clocks may be apart."""
_ALGORITHM = "RS256"
_GAP = re.compile(r"(?<=/)(\{tenantid\}|common|organizations)(?=/)")
"""Where the issuer of any directory's tokens leaves room for the directory's own id."""
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


def subject_of(
    token: str,
    *,
    client_id: str,
    nonce: str,
    issuer: str,
    keys: Mapping[str, object],
    now: datetime,
) -> str:
    """Return `tid.oid` of a token that holds; `nonce` as msal keeps it, `keys` a JWK Set.

    Raises `RequestError` (`ATTEMPT_NOT_YOURS` for another sign-in's nonce, `ACCOUNT_NOT_SUPPORTED`
    for another directory's account) and `RetryLaterError` for a token that cannot be believed.
    """
    key, key_issuer = _key_of(token, keys)
    claims = _claims(token, key, client_id)
    for name, is_late in (("exp", False), ("nbf", True)):
        told = claims.get(name, None if name == "exp" else 0)
        if not isinstance(told, int | float) or isinstance(told, bool):
            raise _unbelievable(name)
        ahead = told - now.timestamp()
        if ahead > CLOCK_SECONDS if is_late else ahead < -CLOCK_SECONDS:
            raise _unbelievable(name)
    if claims.get("aud") != client_id:
        raise _unbelievable("aud")
    # msal sends a digest of what it keeps (OpenID Connect Core, 15.5.2).
    sent = hashlib.sha256(nonce.encode()).hexdigest()
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), sent.encode()):
        raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="id token: nonce")
    tid, oid = claims.get("tid"), claims.get("oid")
    if not (isinstance(tid, str) and isinstance(oid, str)):
        raise _unbelievable("tid or oid")
    if not (_ID.fullmatch(tid) and _ID.fullmatch(oid)):
        raise _unbelievable("tid or oid")
    for expected in filter(None, (issuer, key_issuer)):
        if claims.get("iss") != _GAP.sub(tid, expected):
            raise RequestError(ErrorCode.ACCOUNT_NOT_SUPPORTED, cause="id token: iss")
    return f"{tid}.{oid}"


def _key_of(token: str, keys: Mapping[str, object]) -> tuple["PyJWK", str]:
    """Return the key that a token names, and the issuer the key is for."""
    import jwt  # noqa: PLC0415  # loads cryptography: 70 ms that only a sign-in pays

    try:
        header = jwt.get_unverified_header(token)
        listed = keys.get("keys")
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, dict) and one.get("kid") == header.get("kid") and one.get("kid"):
                found = jwt.PyJWK.from_dict(one, algorithm=_ALGORITHM)
                return found, str(one.get("issuer") or "")
    except jwt.PyJWTError as error:
        raise _unbelievable(type(error).__name__) from None
    raise _unbelievable("kid")


def _claims(token: str, key: "PyJWK", client_id: str) -> Mapping[str, object]:
    """Return the claims of a token whose signature holds; times are checked by whoever asks."""
    import jwt  # noqa: PLC0415  # as above

    try:
        claims: Mapping[str, object] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=client_id,
            options={
                "require": ["aud", "exp", "iss"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        raise _unbelievable(type(error).__name__) from None
    return claims


def _unbelievable(what: str) -> MailroomError:
    return RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=f"id token: {what}")

"""What the local issuer gives for a code or a refresh token, and when it gives nothing."""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from infra.local.issuer_requests import CLIENT_ID, AuthorizationRequest, Fields
from infra.local.issuer_sign_ins import Person, SignIns
from infra.local.issuer_tokens import mint
from infra.local.paths import Paths

CODE_SECONDS: Final = 60
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class TokenRefusedError(Exception):
    """The page gets no token: `error` is RFC 6749's word (section 5.2), `words` say why."""

    def __init__(self, error: str, words: str) -> None:
        super().__init__(words)
        self.error = error
        self.words = words


@dataclass(slots=True)
class _Code:
    request: AuthorizationRequest
    sign_in: str
    until: float
    is_used: bool = False
    refresh_token: str = ""


class Exchange:
    """Codes and refresh tokens for tokens. Codes are in memory: they live for a minute."""

    def __init__(self, paths: Paths, sign_ins: SignIns, now: Callable[[], float]) -> None:
        self._paths = paths
        self._sign_ins = sign_ins
        self._now = now
        self._lock = threading.Lock()
        self._codes: dict[str, _Code] = {}

    def code(self, request: AuthorizationRequest, sign_in: str) -> str:
        """Return a code for `request`, made by whoever is signed in by the key `sign_in`."""
        code = secrets.token_urlsafe(24)
        now = self._now()
        with self._lock:
            self._codes = {text: one for text, one in self._codes.items() if one.until > now}
            self._codes[code] = _Code(request, sign_in, now + CODE_SECONDS)
        return code

    def tokens(self, fields: Fields, seconds: int) -> dict[str, Any]:
        """Return what a form asks for, its tokens valid for `seconds`. Raises TokenRefusedError."""
        if any(len(values) > 1 for values in fields.values()):
            raise TokenRefusedError("invalid_request", "a name is there twice")
        given = {name: values[0] for name, values in fields.items()}
        if given.get("client_id") != CLIENT_ID:
            raise TokenRefusedError("invalid_client", f"only {CLIENT_ID} is registered")
        match given.get("grant_type"):
            case "authorization_code":
                return self._for_code(given, seconds)
            case "refresh_token":
                return self._for_refresh_token(given, seconds)
            case None:
                raise TokenRefusedError("invalid_request", "grant_type is missing")
            case _:
                raise TokenRefusedError("unsupported_grant_type", "a code or a refresh token")

    def _for_code(self, given: dict[str, str], seconds: int) -> dict[str, Any]:
        with self._lock:
            code = self._codes.get(given.get("code", ""))
            if code is None or code.until <= self._now():
                raise TokenRefusedError("invalid_grant", "no such code, or it is too late")
            if code.is_used:
                # Whoever came first may have stolen it: RFC 6749, section 4.1.2.
                self._sign_ins.withdraw(code.refresh_token)
                raise TokenRefusedError("invalid_grant", "the code was used before")
            # Used up by a wrong try as well, so that nobody guesses.
            code.is_used = True
            if given.get("redirect_uri") != code.request.back.redirect_uri:
                raise TokenRefusedError("invalid_grant", "not the redirect_uri of the sign-in")
            if _challenge(given.get("code_verifier", "")) != code.request.challenge:
                raise TokenRefusedError("invalid_grant", "not the code_verifier of the sign-in")
            person = self._sign_ins.person(code.sign_in)
            refresh_token = self._sign_ins.refresh_token(code.sign_in)
            if person is None or refresh_token is None:
                raise TokenRefusedError("invalid_grant", "the sign-in has ended")
            code.refresh_token = refresh_token
        return self._answer(person, refresh_token, seconds, code.request.nonce)

    def _for_refresh_token(self, given: dict[str, str], seconds: int) -> dict[str, Any]:
        renewed = self._sign_ins.renew(given.get("refresh_token", ""))
        if renewed is None:
            raise TokenRefusedError("invalid_grant", "used before, too old, or signed out")
        return self._answer(*renewed, seconds, "")

    def _answer(
        self, person: Person, refresh_token: str, seconds: int, nonce: str
    ) -> dict[str, Any]:
        whose: dict[str, Any] = {
            "tenant": person.tenant,
            "user": person.user,
            "roles": person.roles,
            "seconds": seconds,
        }
        more = {"nonce": nonce} if nonce else {}
        return {
            "access_token": mint(self._paths, **whose),
            "id_token": mint(self._paths, **whose, audience=CLIENT_ID, more=more),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": "openid",
        }


def _challenge(verifier: str) -> str:
    """The S256 of `verifier`; empty, which no challenge is, when it is none."""
    if not _VERIFIER.fullmatch(verifier):
        return ""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

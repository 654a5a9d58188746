"""What may be asked of the local issuer's sign-in: RFC 6749, 7636 (PKCE) and OpenID Connect Core.

One client is registered, the page, with one address to return to. Only a request that names both
is ever answered by a redirect: any other would make the issuer send people wherever a link says.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

CLIENT_ID: Final = "mailroom-page"
_S256: Final = re.compile(r"[A-Za-z0-9_-]{43}")

Fields = Mapping[str, Sequence[str]]
"""A query or a form: each name with all of its values. What came empty is not in it."""


class NotRegisteredError(Exception):
    """The request names another client or address than the page's; the message is for a person."""


class AuthorizationRefusedError(Exception):
    """The page is told so by a redirect to `location`."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


@dataclass(frozen=True, slots=True)
class WayBack:
    """How the page is answered: where, and with what besides the answer."""

    redirect_uri: str
    issuer: str
    state: str

    def granted(self, code: str) -> str:
        """Where the browser takes the code."""
        return self._location(code=code)

    def refused(self, error: str, words: str) -> AuthorizationRefusedError:
        """What to raise to tell the page."""
        return AuthorizationRefusedError(self._location(error=error, error_description=words))

    def _location(self, **answer: str) -> str:
        # With `iss` a page knows which issuer an answer is of: RFC 9207.
        answer |= {"iss": self.issuer} | ({"state": self.state} if self.state else {})
        return f"{self.redirect_uri}?{urlencode(answer)}"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What the page asked for."""

    back: WayBack
    challenge: str
    nonce: str
    prompts: frozenset[str]

    @property
    def must_show_nothing(self) -> bool:
        """Whether it has to be answered without a person."""
        return "none" in self.prompts

    @property
    def may_show_nothing(self) -> bool:
        """Whether whoever is signed in already goes straight on."""
        return not self.prompts or self.must_show_nothing


def read_request(fields: Fields, *, issuer: str, page_url: str | None) -> AuthorizationRequest:
    """Return what `fields` ask for.

    Raises NotRegisteredError, or AuthorizationRefusedError with where to send the browser.
    """
    if fields.get("client_id") != [CLIENT_ID]:
        raise NotRegisteredError(f"Only {CLIENT_ID} is registered here as client_id.")
    if page_url is None or fields.get("redirect_uri") != [page_url]:
        where = page_url or "no address before the stack is deployed"
        raise NotRegisteredError(f"Only {where} is registered here as redirect_uri.")
    given = {name: values[0] for name, values in fields.items()}
    back = WayBack(page_url, issuer, given.get("state", ""))
    prompts = frozenset(given.get("prompt", "").split())
    for is_so, error, words in (
        (_twice(fields), "invalid_request", f"twice in the request: {_twice(fields)}"),
        ("request" in given, "request_not_supported", "no request objects"),
        ("request_uri" in given, "request_uri_not_supported", "no request objects"),
        (given.get("response_type") != "code", "unsupported_response_type", "only code"),
        (given.get("response_mode", "query") != "query", "invalid_request", "only in the query"),
        ("openid" not in given.get("scope", "").split(), "invalid_scope", "openid is missing"),
        (given.get("code_challenge_method") != "S256", "invalid_request", "PKCE by S256 only"),
        (
            not _S256.fullmatch(given.get("code_challenge", "")),
            "invalid_request",
            "code_challenge is not the base64url of a SHA-256",
        ),
        ("none" in prompts and len(prompts) > 1, "invalid_request", "prompt none stands alone"),
    ):
        if is_so:
            raise back.refused(error, words)
    return AuthorizationRequest(
        back=back,
        challenge=given["code_challenge"],
        nonce=given.get("nonce", ""),
        prompts=prompts,
    )


def _twice(fields: Fields) -> str:
    return " ".join(sorted(name for name, values in fields.items() if len(values) > 1))

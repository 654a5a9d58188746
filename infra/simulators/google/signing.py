"""Decides how id tokens are signed: one RSA key, kept with the state, shown as JWK and as PEM."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

if TYPE_CHECKING:
    from infra.simulators.google.accounts import User
    from infra.simulators.google.world import World

ISSUER = "https://accounts.google.com"
_SECONDS = 3600
_BITS = 2048


@functools.cache
def _new_key() -> str:
    # One per process: making it takes longer than all else, and tests start many simulators.
    return RSAKey.generate_key(_BITS).as_pem(private=True).decode()


@functools.cache
def _read_key(pem: str) -> RSAKey:
    key = RSAKey.import_key(pem)
    key.ensure_kid()
    return key


class Signer:
    """Makes id tokens."""

    def __init__(self, world: World) -> None:
        self._world = world
        pem = world.store.meta("id_token_key")
        if pem is None:
            pem = _new_key()
            world.store.set_meta("id_token_key", pem)
        self._key = _read_key(pem)

    def id_token(self, user: User, client_id: str, access_token: str, **claims: Any) -> str:
        """Return a signed id token; `claims` are added, and win."""
        now = int(self._world.clock.epoch())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        body: dict[str, Any] = {
            "iss": ISSUER,
            "azp": client_id,
            "aud": client_id,
            "sub": user.sub,
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="),
            "iat": now,
            "exp": now + _SECONDS,
        }
        if user.options.hosted_domain:
            body["hd"] = user.options.hosted_domain
        body |= claims
        return jwt.encode({"alg": "RS256", "kid": self._key.kid, "typ": "JWT"}, body, self._key)

    def service_token(self, email: str, audience: str, *, forged: str = "") -> str:
        """Return the token that Pub/Sub pushes with; `forged`: what is wrong with it."""
        now = int(self._world.clock.epoch())
        sub = str(int(hashlib.sha256(email.encode()).hexdigest(), 16))[:21]
        body: dict[str, Any] = {
            "aud": audience,
            "azp": sub,
            "email": email,
            "email_verified": True,
            "exp": now + _SECONDS,
            "iat": now,
            "iss": ISSUER,
            "sub": sub,
        }
        wrong: dict[str, dict[str, Any]] = {
            "audience": {"aud": "https://elsewhere.example"},
            "email": {"email": "somebody@elsewhere.iam.gserviceaccount.com"},
            "issuer": {"iss": "https://accounts.elsewhere.example"},
            "unverified": {"email_verified": False},
            "expired": {"iat": now - 3 * _SECONDS, "exp": now - 2 * _SECONDS},
        }
        # Anybody's key, by our key's name.
        key = RSAKey.generate_key(_BITS) if forged == "signature" else self._key
        header = {"alg": "RS256", "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, body | wrong.get(forged, {}), key)

    def jwks(self) -> dict[str, Any]:
        """Return the public key as `/oauth2/v3/certs` shows it."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": "RS256"}]}

    def certificates(self) -> dict[str, str]:
        """Return the public key as `/oauth2/v1/certs` shows it: key id → PEM certificate."""
        key = serialization.load_pem_private_key(self._key.as_pem(private=True), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the key is RSA")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.simulator")])
        now = self._world.clock.now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=16))
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return {str(self._key.kid): pem}

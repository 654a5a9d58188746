"""Decides which certificates the demo and test mail servers show: a good one and three bad ones.

A client must tell an unknown issuer from a wrong name from an expired certificate, because the
user can mend each in a different way. So every set has an authority of its own and four server
certificates.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

GOOD_NAMES = ("localhost", "127.0.0.1", "127.0.0.2")
WRONG_NAMES = ("mail.somebody-else.example",)
_RENEW_BEFORE = dt.timedelta(days=30)
_LIFETIME = dt.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Where one server certificate and its private key lie, both PEM."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return a context for a server that shows this certificate, TLS 1.2 or newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """An authority of our own and what it signed.

    Attributes:
        authority: PEM a client has to trust to believe ``good``.
        good: for localhost, 127.0.0.1 and 127.0.0.2.
        self_signed: right names, signed by itself only.
        wrong_name: signed by the authority, for a name nobody asked for.
        expired: signed by the authority, right names, ended a month ago.
    """

    authority: Path
    good: ServerCertificate
    self_signed: ServerCertificate
    wrong_name: ServerCertificate
    expired: ServerCertificate

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts this authority and nobody else, and checks the name."""
        return ssl.create_default_context(cafile=str(self.authority))


def ensure_certificates(directory: Path, *, now: dt.datetime | None = None) -> CertificateSet:
    """Return the certificates in ``directory``, making them when absent or about to end.

    Args:
        directory: created when absent, readable by its owner only.
        now: the moment the certificates have to be valid at; the clock's when left out.
    """
    moment = now or dt.datetime.now(dt.UTC)
    found = CertificateSet(
        authority=directory / "authority.pem",
        good=_files(directory, "good"),
        self_signed=_files(directory, "self-signed"),
        wrong_name=_files(directory, "wrong-name"),
        expired=_files(directory, "expired"),
    )
    if not _is_complete(found, moment):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(found, moment)
    return found


def _files(directory: Path, name: str) -> ServerCertificate:
    return ServerCertificate(directory / f"{name}.pem", directory / f"{name}.key")


def _is_complete(found: CertificateSet, now: dt.datetime) -> bool:
    servers = (found.good, found.self_signed, found.wrong_name, found.expired)
    paths = [found.authority, *(path for s in servers for path in (s.certificate, s.key))]
    if not all(path.is_file() for path in paths):
        return False
    good = x509.load_pem_x509_certificate(found.good.certificate.read_bytes())
    return good.not_valid_before_utc <= now < good.not_valid_after_utc - _RENEW_BEFORE


def _make(wanted: CertificateSet, now: dt.datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mailroom demo authority")])
    start, end = now - dt.timedelta(days=1), now + _LIFETIME
    authority = (
        x509.CertificateBuilder()
        .subject_name(authority_name)
        .issuer_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_usage(), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    month_ago = now - dt.timedelta(days=30)
    _issue(wanted.wrong_name, WRONG_NAMES, (start, end), authority_name, authority_key)
    _issue(
        wanted.expired,
        GOOD_NAMES,
        (month_ago - dt.timedelta(days=60), month_ago),
        authority_name,
        authority_key,
    )
    _issue(wanted.self_signed, GOOD_NAMES, (start, end), None, None)
    wanted.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    # Last: a set without its good certificate is made again, so a half-written one heals itself.
    _issue(wanted.good, GOOD_NAMES, (start, end), authority_name, authority_key)


def _issue(
    target: ServerCertificate,
    names: tuple[str, ...],
    validity: tuple[dt.datetime, dt.datetime],
    issuer: x509.Name | None,
    issuer_key: ec.EllipticCurvePrivateKey | None,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    signer = issuer_key or key
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Python 3.13 checks strictly (RFC 5280) and refuses a chain without this link.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    _write_key(target.key, key)
    target.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )

"""Which id tokens are believed, and whom they name."""

import base64
import hashlib
import json
from datetime import UTC, datetime

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from shared.domain.errors import ErrorCode, RequestError, RetryLaterError
from shared.providers.outlook.id_token import CLOCK_SECONDS, subject_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLIENT = "client-id"
NONCE = "what is kept"
TID = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OID = "690222be-ff1a-4d56-abd1-7e4f7d38e474"
LOGIN = "https://login.microsoftonline.com"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)


def claims(**changes):
    whole = {
        "aud": CLIENT,
        "iss": f"{LOGIN}/{TID}/v2.0",
        "exp": int(NOW.timestamp()) + 3600,
        "nbf": int(NOW.timestamp()) - 5,
        "iat": int(NOW.timestamp()) - 5,
        "nonce": hashlib.sha256(NONCE.encode()).hexdigest(),
        "tid": TID,
        "oid": OID,
        "sub": "pairwise",
        "email": "ceo@contoso.example",
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def signed(content=None, *, key=KEY, **header):
    head = {"alg": "RS256", "kid": "one", "typ": "JWT", **header}
    return jwt.encode(head, content or claims(), key, algorithms=[head["alg"]])


def keys(**more):
    return {"keys": [{**KEY.as_dict(private=False), **more}]}


def subject(token, *, issuer=f"{LOGIN}/{{tenantid}}/v2.0", published=None):
    return subject_of(
        token,
        client_id=CLIENT,
        nonce=NONCE,
        issuer=issuer,
        keys=keys() if published is None else published,
        now=NOW,
    )


def test_a_good_token_names_its_account_by_directory_and_object():
    assert subject(signed()) == f"{TID}.{OID}"


def test_the_address_in_it_is_nobodys_identity():
    assert subject(signed(claims(email="other@else.example"))) == subject(signed())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"aud": None},
        {"exp": int(NOW.timestamp()) - CLOCK_SECONDS - 1},
        {"exp": None},
        {"exp": "later"},
        {"exp": True},
        {"nbf": int(NOW.timestamp()) + CLOCK_SECONDS + 1},
        {"tid": None},
        {"oid": None},
        {"oid": "a.b"},
        {"tid": "../common"},
        {"oid": 7},
    ],
)
def test_a_token_with_a_wrong_claim_is_not_believed(changes):
    with pytest.raises(RetryLaterError) as caught:
        subject(signed(claims(**changes)))
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
    assert "eyJ" not in str(caught.value)


def test_clocks_may_be_a_little_apart():
    for changes in (
        {"exp": int(NOW.timestamp()) - CLOCK_SECONDS + 1},
        {"nbf": int(NOW.timestamp()) + CLOCK_SECONDS - 1},
        {"nbf": None, "iat": None},
    ):
        assert subject(signed(claims(**changes)))


@pytest.mark.parametrize("nonce", [None, "", NONCE, "another", 7])
def test_another_sign_ins_nonce_is_somebody_elses_attempt(nonce):
    with pytest.raises(RequestError) as caught:
        subject(signed(claims(nonce=nonce)))
    assert caught.value.code is ErrorCode.ATTEMPT_NOT_YOURS


@pytest.mark.parametrize(
    "iss",
    [
        f"{LOGIN}/00000000-0000-4000-8000-000000000000/v2.0",
        f"{LOGIN}/{{tenantid}}/v2.0",
        f"https://sts.windows.net/{TID}/",
        f"https://login.microsoftonline.us/{TID}/v2.0",
        f"{LOGIN}/{TID}/v2.0/",
    ],
)
def test_the_issuer_must_be_the_directorys_own(iss):
    with pytest.raises(RequestError) as caught:
        subject(signed(claims(iss=iss)))
    assert caught.value.code is ErrorCode.ACCOUNT_NOT_SUPPORTED


def test_an_authority_of_one_directory_takes_no_others_account():
    with pytest.raises(RequestError):
        subject(signed(), issuer=f"{LOGIN}/00000000-0000-4000-8000-000000000000/v2.0")


def test_a_key_of_one_directory_signs_for_no_other():
    own = keys(issuer=f"{LOGIN}/{TID}/v2.0")
    assert subject(signed(), published=own)
    other = keys(issuer=f"{LOGIN}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")
    with pytest.raises(RequestError):
        subject(signed(), published=other)
    assert subject(signed(), published=keys(issuer=f"{LOGIN}/{{tenantid}}/v2.0"))


def test_another_keys_signature_is_not_believed():
    with pytest.raises(RetryLaterError):
        subject(signed(key=OTHER_KEY))


def test_no_signature_and_one_by_the_public_key_as_a_password_are_not_believed():
    head, body, _ = signed().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "one"}).encode())
    shared = OctKey.import_key(json.dumps(KEY.as_dict(private=False)).encode())
    for token in (
        f"{none.rstrip(b'=').decode()}.{body}.",
        f"{head}.{body}.",
        jwt.encode({"alg": "HS256", "kid": "one"}, claims(), shared, algorithms=["HS256"]),
        signed(alg="RS512"),
    ):
        with pytest.raises(RetryLaterError):
            subject(token)


@pytest.mark.parametrize(
    "token", ["", "a", "a.b.c", "é.é.é", "....", "eyJhbGciOiJSUzI1NiJ9.e30.AA"]
)
def test_what_is_no_token_is_not_believed(token):
    with pytest.raises(RetryLaterError):
        subject(token)


@pytest.mark.parametrize(
    "published",
    [
        {},
        {"keys": None},
        {"keys": []},
        {"keys": [None, 7, {}]},
        {"keys": [{"kid": "one"}]},
        {"keys": [{"kid": "one", "kty": "RSA", "n": "!", "e": "AQAB"}]},
        {"keys": [{"kid": "two", "kty": "RSA"}]},
    ],
)
def test_without_its_key_no_token_is_believed(published):
    with pytest.raises(RetryLaterError):
        subject(signed(), published=published)

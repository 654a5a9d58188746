"""A release reads what every earlier one wrote, and leaves what a later one wrote as it is."""

import base64
import json
import re

import pytest

from shared.aws import queues
from shared.aws.errors import UnknownFormError
from shared.aws.login_keys import _place, _suite
from shared.aws.oauth_clients import read_client
from shared.aws.relay import ranges_in
from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode
from shared.domain.secret import Secret
from shared.operations.access import _read
from tests.contract.stores.forms import (
    CLIENT,
    GRANTS,
    IDS,
    LIST,
    POSITIONS,
    RANGES,
    READ_CURSOR,
    REQUESTS,
    SAMPLES,
    TENANTS_KEY,
    TOLD,
    plain,
    put_back,
)
from tests.fakes.values import BOX, TENANT
from tests.infra.stored_kinds import TABLES, keys_of

WRITTEN = {path.stem: json.loads(path.read_text("utf-8")) for path in SAMPLES.glob("*.json")}
LATEST = WRITTEN[max(WRITTEN)]
WITHOUT = {
    ("{t}#mailbox#{id}", "writing#{digest}"): "there for seconds; left, only erasures read it",
    ("{t}#mailbox#{id}", "settled#{erasure}#{digest}"): "the same item as that of a run",
    ("{t}#rates", "{act}"): "there for a day, and a bucket nobody reads is a full one",
    ("{t}#rates", "{act}#{user}"): "the same",
    ("{t}#contacts#made", "made#{day}"): "there for three days, a number",
    ("{t}#contacts#deleted", "deleted#{contact}"): "its key alone, which test_tables holds",
    ("{t}#login#{id}", "login"): "what is sealed has a sample of its own",
    ("{t}#login-keys", "pair"): "what KMS wraps cannot be kept in a file",
}
"""Kinds of item without a sample, each with its reason."""


@pytest.fixture(params=sorted(WRITTEN))
def written(request):
    return WRITTEN[request.param]


def missing(then, now, where=""):
    """What was read then and is not now; what is new is no loss."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [loss for key in then for loss in missing(then[key], now.get(key), f"{where} {key}")]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return [loss for n, (old, new) in pairs for loss in missing(old, new, f"{where} {n}")]
    return [] if then == now else [f"{where}: {then!r} is read as {now!r}"]


def test_what_a_release_stored_is_read_as_it_was(aws, written):
    put_back(aws, written)
    told = {what: plain(read(aws)) for what, read in TOLD.items()}
    assert all(written["told"].values())
    assert missing(written["told"], told) == []


def test_what_a_release_left_in_the_queues_is_read_as_it_was_meant(written):
    for what, body in written["requests"].items():
        decode = queues.decode_erasure if what == "erase" else queues.decode_request
        assert (what, decode(body)) == (what, REQUESTS[what][1])
    assert ranges_in(written["tick"]) == RANGES


def test_a_release_s_cursors_and_page_tokens_are_gone_on_from(written):
    for what, cursor in written["cursors"].items():
        assert READ_CURSOR[what](Cursor.decode(cursor)) == POSITIONS[what]
    assert LIST.text_position(written["page token"]) == "c1"


def test_a_release_s_logins_are_opened(written):
    for what, text in written["logins"].items():
        assert _read(Secret(text)) == GRANTS[what]
    assert read_client(written["oauth client"]) == CLIENT
    sealed = base64.b64decode(written["sealed"])
    assert _suite().decrypt(sealed, TENANTS_KEY, _place(*IDS)) == b"sealed"


def test_a_login_of_a_newer_release_is_not_misread(written):
    for text in written["logins"].values():
        with pytest.raises(ValueError, match="newer"):
            _read(Secret(text.replace('"v": 1', '"v": 2')))


@pytest.mark.parametrize("module", TABLES, ids=lambda path: path.stem)
def test_there_is_a_sample_of_every_kind_of_item(module):
    keys = [(item["pk"]["S"], item["sk"]["S"]) for item in LATEST["items"]]
    missing = [
        kind
        for kind in keys_of(module)
        if kind not in WITHOUT
        and not any(all(map(re.fullmatch, map(shape_of, kind), key)) for key in keys)
    ]
    assert missing == []


def shape_of(key):
    """A regular expression of a key as the first words of a module spell it."""
    return "".join(
        part if part.startswith("[") else re.escape(part)
        for part in re.split(r"(\[\^#\]\+)", re.sub(r"\{[^}]*\}", "[^#]+", key))
    )


@pytest.mark.parametrize("what", TOLD)
def test_an_item_of_a_newer_form_is_neither_misread_nor_changed(aws, what):
    put_back(aws, LATEST, form="2")
    before = aws.items()
    with pytest.raises(UnknownFormError, match="2"):
        plain(TOLD[what](aws))
    assert aws.items() == before


@pytest.mark.parametrize("provider", POSITIONS)
def test_a_newer_cursor_is_compared_with_what_is_stored(provider):
    cursor = POSITIONS[provider].cursor()
    newer = Cursor(cursor.provider, cursor.version + 1, cursor.position)
    with pytest.raises(CursorExpiredError):
        READ_CURSOR[provider](newer)


def test_a_code_that_only_a_newer_release_knows_hides_nothing_else(aws):
    text = json.dumps(LATEST).replace(ErrorCode.PROVIDER_UNAVAILABLE, "of_a_newer_release")
    assert text != json.dumps(LATEST)
    put_back(aws, json.loads(text))
    (run,) = aws.runs.list_runs(TENANT, BOX, limit=9, before=None)
    assert (run.code, run.counts.listed) == (ErrorCode.INTERNAL, 3)

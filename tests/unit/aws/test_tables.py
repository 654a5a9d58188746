"""Keys: nothing is smuggled, the tenant leads, texts sort as what they stand for."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shared.aws import (
    instants,
    tables,
    tables_of_audits,
    tables_of_backfills,
    tables_of_dead_letters,
    tables_of_erasures,
    tables_of_rates,
    tables_of_sends,
    tables_of_sign_ins,
    tables_of_slots,
)
from shared.domain.ids import MessageId
from shared.domain.mailbox import Provider
from shared.domain.rate_limits import Act
from shared.ports.attempts import AccountGrant
from shared.ports.sending import SendRef
from tests.fakes.backends import table_definition

ANY_TEXT = st.text(alphabet=st.characters(), min_size=1, max_size=30) | st.sampled_from(
    ["#", "a#b", "..", "%", "%23", "a%23mailboxes", "\ud800", "\x00", "İ", "𝒜"]
)
INSTANTS = st.integers(0, 7_000_000_000 * 10**6).map(instants.from_microseconds)
AT = datetime(2026, 3, 1, tzinfo=UTC)
MESSAGE_ID = MessageId("m" + "a" * 48)

KEYS = [
    tables.settings_key,
    tables.state_key,
    tables.identity_key,
    tables.primary_key,
    lambda t, a: tables.folder_key(t, a, a),
    lambda t, a: tables.copy_key(t, a, a),
    lambda t, a: tables.run_key(t, a, a),
    lambda t, a: tables_of_backfills.backfill_key(t, a, a),
    tables_of_backfills.open_backfill_key,
    lambda t, a: tables_of_backfills.chunk_key(t, a, a, 7),
    tables_of_audits.audit_key,
    lambda t, a: tables_of_audits.settled_key(t, a, a),
    lambda t, a: tables_of_dead_letters.letter_key(t, a, a),
    tables_of_erasures.erasure_key,
    tables_of_erasures.erasure_of_key,
    lambda t, _: tables_of_erasures.kept_out_key(t),
    lambda t, a: tables_of_erasures.writing_key(t, a, [MESSAGE_ID]),
    lambda t, _: tables_of_slots.slot_key(t, 7),
    lambda t, a: tables_of_sends.send_key(SendRef(t, a, a)),
    tables_of_sends.key_key,
    lambda t, a: tables_of_rates.rate_key(t, a, Act.SYNC),
    lambda t, a: tables_of_sends.mailbox_count_key(t, a, "7"),
    lambda t, _: tables_of_sends.tenant_count_key(t, "7"),
    lambda t, _: tables.message_key(t, MESSAGE_ID),
    tables.contacts_of_address_key,
    tables.contact_key,
    lambda t, a: next(tables.entry_keys(t, a, AT, MESSAGE_ID, a)),
]


@given(ANY_TEXT)
def test_a_part_of_a_key_holds_no_separator_and_is_read_back(text):
    part = tables.escape(text)
    assert "#" not in part
    part.encode()
    assert tables.unescape(part) == text


@given(ANY_TEXT, ANY_TEXT)
def test_two_texts_are_never_one_part(one, other):
    assert (tables.escape(one) == tables.escape(other)) is (one == other)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_every_key_starts_with_its_tenant_and_with_no_other(tenant, other, text):
    for key_of in KEYS:
        key = key_of(tenant, text)
        assert key.pk.startswith(tables.escape(tenant) + "#")
        if tenant != other:
            assert key != key_of(other, text)
            assert not key.pk.startswith(tables.escape(other) + "#")


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_two_kinds_of_item_never_share_a_key(tenant, one, other):
    keys = [key_of(tenant, one) for key_of in KEYS]
    assert len(set(keys)) == len(keys)
    if one != other:
        changed = {key_of(tenant, other) for key_of in KEYS} & set(keys)
        # These hold no such text.
        assert {key.sk.partition("#")[0] for key in changed} <= {"message", "kept-out", "7"}


@given(ANY_TEXT, ANY_TEXT)
def test_what_has_no_tenant_shares_no_partition_with_any_tenant(tenant, text):
    apart = {
        tables_of_sign_ins.attempt_key(text).pk,
        tables_of_sign_ins.holders_key(AccountGrant(Provider.GMAIL, text, text)).pk,
    }
    assert len(apart) == 2
    for name in (tenant, "attempt", "grant"):
        assert not apart & {key_of(name, text).pk for key_of in KEYS}
    digests = [pk.partition("#")[2] for pk in apart]
    assert all(re.fullmatch("[0-9a-f]{48}", digest) for digest in digests)


@given(INSTANTS, INSTANTS)
def test_instants_sort_as_time_does(one, other):
    assert (instants.instant(one) < instants.instant(other)) is (one < other)
    assert datetime.fromisoformat(instants.instant(one)) == one
    elsewhere = one.astimezone(timezone(timedelta(hours=-7)))
    assert instants.instant(elsewhere) == instants.instant(one)
    assert instants.from_microseconds(instants.microseconds(elsewhere)) == one


def test_a_text_that_is_no_message_id_has_no_key():
    for strange in ("", "m", "#", "t" + "a" * 48, "m" + "#" * 48):
        assert tables.message_key("t", MessageId(strange)) is None


def test_the_template_has_the_indexes_and_keys_the_stores_use():
    table = table_definition()
    keys = [key["AttributeName"] for key in table["KeySchema"]]
    indexes = {
        index["IndexName"]: (
            [key["AttributeName"] for key in index["KeySchema"]],
            sorted(index["Projection"].get("NonKeyAttributes", [])),
        )
        for index in table["GlobalSecondaryIndexes"]
    }
    assert keys == ["pk", "sk"]
    assert indexes == {
        tables.DUE_INDEX: (["due_slot", "due_key"], ["mailbox_id", "not_before", "tenant_id"]),
        tables.MAILBOX_DATE_INDEX: (["mailbox_pk", "date_sk"], []),
    }
    items = set(tables.StateItem.get_attributes()) & set(
        tables_of_backfills.BackfillItem.get_attributes()
    )
    assert {"due_slot", "due_key", "mailbox_id", "tenant_id"} <= items


def test_keys_are_spelled_nowhere_else():
    folder = Path(tables.__file__).parent
    spelled = re.compile(r'f?"[^"\n]*[a-z}]#[^"\n]*"')
    found = {
        path.name: spelled.findall(path.read_text())
        for path in folder.glob("*.py")
        if not path.name.startswith("tables")
    }
    assert not {name: texts for name, texts in found.items() if texts}

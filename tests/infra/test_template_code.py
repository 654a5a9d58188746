"""The template and the code name the same things: keys of the table, routes of the handlers."""

import importlib

import pytest

from infra.lint_access import allowed, api_routes
from infra.lint_rules import folder_of, of_type, statement_list
from infra.local.expand import load
from shared.api import page_routes, push_routes
from shared.aws import tables, tables_of_backfills
from shared.aws.stored_objects import ATTACHMENTS, BODIES, LETTERS
from shared.domain.erasure import BACKUP_DAYS, SETTLE_SECONDS
from tests.infra.template_text import ROOT, translated

KEYS = {
    tables.DUE_INDEX: ("due_slot", "due_key"),
    tables.MAILBOX_DATE_INDEX: ("mailbox_pk", "date_sk"),
}


def table():
    ((_, properties),) = of_type(translated(), "AWS::DynamoDB::Table")
    return properties


def keys(schema):
    return tuple(
        next(part["AttributeName"] for part in schema if part["KeyType"] == kind)
        for kind in ("HASH", "RANGE")
    )


def test_table_has_the_keys_that_every_item_has():
    attributes = tables.Item.get_attributes().values()
    (partition,) = (attribute.attr_name for attribute in attributes if attribute.is_hash_key)
    (sort,) = (attribute.attr_name for attribute in attributes if attribute.is_range_key)
    assert keys(table()["KeySchema"]) == (partition, sort)


def test_table_has_the_indexes_that_the_code_asks():
    indexes = {
        index["IndexName"]: keys(index["KeySchema"]) for index in table()["GlobalSecondaryIndexes"]
    }
    assert indexes == KEYS


def test_key_attributes_are_texts_and_all_are_declared():
    declared = {
        item["AttributeName"]: item["AttributeType"] for item in table()["AttributeDefinitions"]
    }
    used = {"pk", "sk", *(name for pair in KEYS.values() for name in pair)}
    assert declared == dict.fromkeys(used, "S")


@pytest.mark.parametrize("name", sorted({name for pair in KEYS.values() for name in pair}))
def test_code_writes_the_attribute_of_the_index(name):
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "shared" / "aws").glob("*.py")]
    attributes = tables.StateItem.get_attributes()
    assert name in attributes or any(f'"{name}"' in source for source in sources)


@pytest.mark.parametrize("item", [tables.StateItem, tables_of_backfills.BackfillItem])
def test_what_stands_in_the_due_index_carries_what_it_projects(item):
    (due,) = (
        index
        for index in table()["GlobalSecondaryIndexes"]
        if index["IndexName"] == tables.DUE_INDEX
    )
    assert due["Projection"]["ProjectionType"] == "INCLUDE"
    projected = {*due["Projection"]["NonKeyAttributes"], *KEYS[tables.DUE_INDEX]}
    # A backfill is never held back; all else must be there, or the index answers with gaps.
    missing = projected - set(item.get_attributes())
    assert missing <= ({"not_before"} if item is tables_of_backfills.BackfillItem else set())


def handler_routes(folder: str) -> set[str]:
    """What the function's resolver itself says it answers, in API Gateway's spelling."""
    app = getattr(importlib.import_module(f"functions.{folder}.handler"), "app", None)
    if app is None:
        # Providers and browsers ask them, and not callers: no resolver, no place in the contract.
        return {"receive_push": set(push_routes.PROVIDERS), "serve_page": set(page_routes.ROUTES)}[
            folder
        ]
    return {
        f"{route.method} {route.path.replace('<', '{').replace('>', '}')}"
        for route in (*app._static_routes, *app._dynamic_routes)
    }


@pytest.mark.parametrize(
    "folder", sorted({folder_of(route.function) for route in api_routes(translated())})
)
def test_handler_answers_exactly_the_routes_it_is_given(folder):
    given = {
        f"{route.method} {route.path}"
        for route in api_routes(translated())
        if folder_of(route.function) == folder
    }
    assert handler_routes(folder) == given


def test_nobody_works_longer_than_an_erasure_waits():
    longest = max(
        resource["Properties"]["Timeout"]
        if isinstance(resource["Properties"]["Timeout"], int)
        else load(ROOT / "template.yaml")["Parameters"]["ChunkSeconds"]["MaxValue"]
        for resource in load(ROOT / "template.yaml")["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function" and "Timeout" in resource["Properties"]
    )
    assert longest == 300
    assert longest < SETTLE_SECONDS


def test_what_is_deleted_is_in_no_version_and_in_backups_as_long_as_the_receipt_says():
    ((_, bucket),) = of_type(translated(), "AWS::S3::Bucket")
    assert not {"VersioningConfiguration", "ReplicationConfiguration"} & bucket.keys()
    assert table()["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    # What AWS keeps where no `RecoveryPeriodInDays` says less.
    assert BACKUP_DAYS == 35
    # A stream forgets after a day, and one function reads it.
    assert table()["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    reading = {
        role
        for role, statement in allowed(translated())
        if "dynamodb:GetRecords" in statement_list(statement["Action"])
    }
    assert reading == {"PublishEventsRole"}


def test_what_erases_may_delete_and_opens_no_body_attachment_or_login():
    ((_, role),) = (
        (name, role)
        for name, role in of_type(translated(), "AWS::IAM::Role")
        if name == "EraseMailRole"
    )
    text = str(role)
    (opens,) = (
        statement["Resource"]
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "s3:GetObject" in str(statement["Action"])
    )
    assert opens == {"Fn::Sub": f"${{Bucket.Arn}}/{LETTERS}/*"}
    assert "s3:PutObject" not in text
    assert "secretsmanager:GetSecretValue" not in text
    for kind in (ATTACHMENTS, BODIES, LETTERS):
        assert f"${{Bucket.Arn}}/{kind}/*" in text

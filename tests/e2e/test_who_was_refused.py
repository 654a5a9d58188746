"""Last of all these tests: what the stack's roles were asked for, while all the others ran."""

import json

import pytest

pytestmark = pytest.mark.stack

TAKEN_AWAY = {"ReadMailRole": {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}}
"""What a drill takes from a role to see an alarm ring."""


def uses(stack):
    """Who asked for what, under which statements; of roles the name that the template has."""
    lines = stack.paths.permissions.read_text().splitlines()
    return [
        (one["role"].split("-")[2], one["action"], one["grants"]) for one in map(json.loads, lines)
    ]


def test_nothing_that_was_done_needed_more_than_its_role_allows(stack):
    assert stack.as_user("acme", "u1")("GET", "/v1/mailboxes").status == 200
    refused = {
        (role, action)
        for role, action, grants in uses(stack)
        if not grants and action not in TAKEN_AWAY.get(role, ())
    }
    assert refused == set()


def test_what_aws_does_in_a_role_s_name_was_asked_for_as_well(stack):
    assert stack.as_user("acme", "u1")("GET", "/v1/mailboxes").status == 200
    asked = {(role, action) for role, action, _ in uses(stack)}
    assert {
        ("SyncMailboxRole", "sqs:ReceiveMessage"),
        ("SyncMailboxRole", "sqs:DeleteMessage"),
        ("ReadMailRole", "logs:PutLogEvents"),
        ("ReadMailRole", "dynamodb:Query"),
    } <= asked

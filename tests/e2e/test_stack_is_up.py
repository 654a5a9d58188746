"""The fixtures of these tests: the stack answers, knows its callers and survives a kill."""

import pytest

pytestmark = pytest.mark.stack


def test_health_needs_no_token(stack):
    assert stack.as_nobody()("GET", "/v1/health").status == 200


def test_everything_else_needs_one(stack):
    assert stack.as_nobody()("GET", "/v1/mailboxes").status == 401
    assert stack.as_user("nobody-yet", "u1")("GET", "/v1/mailboxes").body["items"] == []

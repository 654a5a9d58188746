"""What an administrator is told of all mailboxes at once, over HTTP."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.ids import RunId, new_ulid
from shared.domain.ledger import Counts
from shared.domain.run import Run, RunReason
from tests.fakes.mail import add_mailbox

ACTIVITY = "/v1/activity"
ADMIN = {"user": "root", "roles": "admin"}


def ran(app, box, minutes_ago=0, **changes):
    at = app.clock.at - timedelta(minutes=minutes_ago)
    run = Run(box.tenant_id, box.id, RunId(new_ulid(at)), RunReason.SCHEDULE, at, at, Counts(3, 3))
    app.world.runs.setdefault((box.tenant_id, box.id), {})[run.id] = replace(run, **changes)


def test_it_says_by_the_hour_what_came_in_and_what_failed(app):
    app.clock.at = app.clock.at.replace(hour=12, minute=20)
    box = add_mailbox(app.world, "MB1")
    ran(app, box)
    ran(app, box, 30, reason=RunReason.BACKFILL)
    ran(app, box, counts=Counts(), code=ErrorCode.RATE_LIMITED)
    answer = app.ask("GET", f"{ACTIVITY}?hours=2", **ADMIN)
    assert answer.status == 200, answer.text
    day = app.clock.at.date().isoformat()
    assert answer.json == {
        "since": f"{day}T11:00:00Z",
        "until": f"{day}T12:20:00Z",
        "items": [
            {
                "mailbox_id": "MB1",
                "synced": [0, 3],
                "imported": [3, 0],
                "runs_failed": [
                    {
                        "code": "rate_limited",
                        "message": "The provider asked us to slow down.",
                        "acts": "time",
                        "count": 1,
                    }
                ],
                "dead_letters": {"open": 0, "replaying": 0, "more": False},
            }
        ],
        "next": None,
    }
    assert len(app.ask("GET", ACTIVITY, **ADMIN).json["items"][0]["synced"]) == 24


def test_it_is_for_administrators_and_of_their_own_tenant(app):
    add_mailbox(app.world, "MB1", owner="ann")
    answer = app.ask("GET", ACTIVITY, user="ann")
    assert (answer.status, answer.json["code"]) == (403, "admin_required")
    assert app.ask("GET", ACTIVITY, tenant="other", **ADMIN).json["items"] == []


def test_it_goes_on_where_it_ended_with_as_many_hours_alone(app):
    for number in range(3):
        add_mailbox(app.world, f"MB{number}", owner=f"user{number}")
    listed = [one["id"] for one in app.ask("GET", "/v1/mailboxes", **ADMIN).json["items"]]
    first = app.ask("GET", f"{ACTIVITY}?limit=2", **ADMIN).json
    then = app.ask("GET", ACTIVITY, query={"next": first["next"]}, **ADMIN).json
    assert [one["mailbox_id"] for one in first["items"] + then["items"]] == listed
    assert then["next"] is None
    other = app.ask("GET", ACTIVITY, query={"next": first["next"], "hours": 3}, **ADMIN)
    assert (other.status, other.json["code"]) == (400, "invalid_page_token")


@pytest.mark.parametrize("query", ["hours=0", "hours=49", "limit=0", "limit=51", "days=1"])
def test_what_cannot_be_asked_is_refused(app, query):
    answer = app.ask("GET", f"{ACTIVITY}?{query}", **ADMIN)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")

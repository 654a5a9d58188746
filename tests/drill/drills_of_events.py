"""Alarms that others are not told what changes: what nobody can read, and a bus that takes nothing."""

from datetime import UTC, datetime

from shared.domain.ids import new_ulid
from tests.drill.ground import PREFIX
from tests.drill.run import Drill

OLD_SECONDS = 4
"""What stands for a quarter of an hour."""


def _new_mail(ground, **changes):
    """Write a copy as sync does when new mail comes; the table is all that is asked."""
    key = {"pk": {"S": "drill#mailbox#drill"}, "sk": {"S": f"copy#{new_ulid(datetime.now(UTC))}"}}
    copy = {
        "m": {"S": "drill"},
        "f": {"S": "inbox"},
        "r": {"N": "0"},
        "g": {"N": "0"},
        "n": {"N": "0"},
        "h": {"S": "n"},
    }
    ground.client("dynamodb").put_item(
        TableName=PREFIX.removesuffix("-"), Item={**key, **copy, **changes}
    )


def _unreadable(ground):
    _new_mail(ground, h={"S": "of a release that is not out yet"})


def _untold(ground):
    ground.take_right("publish_events", "Publish")
    _new_mail(ground)


DRILLS = (
    Drill(
        "events-dead-letters",
        "new mail is written as only a newer release reads it",
        _unreadable,
        lambda ground: ground.purge("events-dead-letters"),
        lane="publish_events",
    ),
    Drill(
        "events-stuck",
        "`publish_events` loses the right to put anything on the bus",
        _untold,
        lambda ground: ground.give_right("Publish"),
        lane="publish_events",
        threshold=OLD_SECONDS * 1000,
    ),
)

"""EventBridge's PutEvents, as a client has it: what was put, and what is refused."""

import json
from dataclasses import dataclass, field
from typing import Any

MOST_ENTRIES = 10


@dataclass
class FakeEvents:
    """The client `events`."""

    put: list[dict[str, Any]] = field(default_factory=list)
    refuses: list[set[int] | Exception] = field(default_factory=list)
    """Of the next requests, which entries are refused, or what the whole request meets."""
    code: str = "ThrottlingException"

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's
        assert 1 <= len(Entries) <= MOST_ENTRIES
        refused = self.refuses.pop(0) if self.refuses else set()
        if isinstance(refused, Exception):
            raise refused
        self.put += [entry for place, entry in enumerate(Entries) if place not in refused]
        return {
            "FailedEntryCount": len(refused),
            "Entries": [
                {"ErrorCode": self.code, "ErrorMessage": ""}
                if place in refused
                else {"EventId": "x"}
                for place, _ in enumerate(Entries)
            ],
        }

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Every event put, by type, with its detail."""
        return [(entry["DetailType"], json.loads(entry["Detail"])) for entry in self.put]

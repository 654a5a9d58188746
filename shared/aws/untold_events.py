"""How it is kept which changes could not be told: a record's number and its item's keys."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.aws.clients import Clients
from shared.aws.errors import our_errors
from shared.aws.stream_records import sequence_number


@dataclass(frozen=True, slots=True)
class UntoldEvents:
    """The queue they are in, where Lambda also says which records it has given up."""

    queue_url: str
    clients: Clients

    def keep(self, record: Mapping[str, Any]) -> str:
        """Keep that a record is not told; return its number."""
        number = sequence_number(record)
        keys = {name: value["S"] for name, value in record["dynamodb"]["Keys"].items()}
        body = {"v": 1, "kind": "event_set_aside", "sequence_number": number, "keys": keys}
        with our_errors():
            self.clients.sqs.send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(body))
        return number

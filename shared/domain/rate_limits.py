"""How often somebody may ask for what costs others something: a mail server, a provider, a queue.

A bucket has room for `burst` requests and gets room for one more every `seconds_each`. One belongs
to a user and one to their tenant, of each kind of request: a burst of one tenant leaves every other
alone, and one user's leaves their colleagues most of what the tenant may.

A bucket is one instant, at which it would be full again: a request moves it on by `seconds_each`,
and is refused where that would be further ahead than a burst takes (the generic cell rate
algorithm, ITU-T I.371). So nothing has to be written for it to fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Act(StrEnum):
    """What is counted together."""

    CONNECT = "connect"
    """Trying a login: a test, connecting, reconnecting."""
    SIGN_IN = "sign_in"
    PREVIEW = "preview"
    SYNC = "sync"
    UPLOAD = "upload"
    UPLOADED_MEGABYTE = "uploaded_megabyte"
    """Of what is announced: counted beside the request, as often as the file has megabytes."""
    SEND = "send"
    TEST_MESSAGE = "test_message"


@dataclass(frozen=True, slots=True)
class Rate:
    """How many at once, and how long each takes to come back."""

    burst: float
    seconds_each: float

    @property
    def each(self) -> timedelta:
        """How far a request moves a bucket on."""
        return timedelta(seconds=self.seconds_each)

    @property
    def most_ahead(self) -> timedelta:
        """How far ahead of now a bucket may be for one more request to be let through."""
        return self.each * (self.burst - 1)

    def of(self, number: int) -> "Rate":
        """Return the same bucket as it is for what takes the room of `number` at once."""
        return Rate(self.burst / number, self.seconds_each * number)


RATES: Mapping[Act, tuple[Rate, Rate]] = {
    # each: of a user, of a tenant
    Act.CONNECT: (Rate(60, 3.0), Rate(240, 1.0)),
    Act.SIGN_IN: (Rate(60, 3.0), Rate(240, 1.0)),
    Act.PREVIEW: (Rate(20, 6.0), Rate(100, 1.0)),
    Act.SYNC: (Rate(60, 2.0), Rate(300, 0.2)),
    Act.UPLOAD: (Rate(100, 1.0), Rate(600, 0.1)),
    Act.UPLOADED_MEGABYTE: (Rate(1_000, 5.0), Rate(10_000, 0.5)),
    Act.SEND: (Rate(60, 1.0), Rate(600, 0.1)),
    Act.TEST_MESSAGE: (Rate(5, 12.0), Rate(50, 2.0)),
}

"""What liveness says."""

from typing import Literal

from shared.api.schemas.fields import Shown


class Health(Shown):
    """The service answers."""

    status: Literal["ok"]

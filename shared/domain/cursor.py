"""What a cursor is to everybody but its adapter.

An opaque text that names its provider and format.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place to go on from. Only the adapter named by `provider` reads `position`."""

    provider: str
    version: int
    position: str

    def encode(self) -> str:
        """Return the stored form, `provider:version:position`."""
        return f"{self.provider}:{self.version}:{self.position}"

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Read what `encode` wrote; raises ValueError for anything else."""
        provider, version, position = text.split(":", 2)
        return cls(provider, int(version), position)

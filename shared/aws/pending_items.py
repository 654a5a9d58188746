"""How a copy's flags are one number, and how what is pending of it is kept beside them.

One map, `w`: who has not read it as it is now writes nothing over it. It is there as long as the
pointer to its copy is (`tables_of_changes`).
"""

from typing import Any

from shared.aws.instants import from_microseconds, microseconds
from shared.aws.table import Raw
from shared.domain.change import Wanted
from shared.domain.ids import FolderId
from shared.domain.message import Flags, Pending

_SEEN, _FLAGGED, _ANSWERED, _DRAFT = 1, 2, 4, 8


def flag_bits(flags: Flags) -> int:
    """Return the flags as one number; their version is kept beside it."""
    return (
        _SEEN * flags.seen
        | _FLAGGED * flags.flagged
        | _ANSWERED * flags.answered
        | _DRAFT * flags.draft
    )


def flags_of(bits: int, version: int) -> Flags:
    """Return the flags that `flag_bits` gave `bits` for."""
    return Flags(
        seen=bool(bits & _SEEN),
        flagged=bool(bits & _FLAGGED),
        answered=bool(bits & _ANSWERED),
        draft=bool(bits & _DRAFT),
        version=version,
    )


def pending_value(pending: Pending) -> dict[str, Any]:
    """Return the attribute that says what is pending; the flags' version stays beside the flags."""
    wanted = pending.wanted
    value: Raw = {
        "v": {"N": str(pending.version)},
        "a": {"N": str(microseconds(pending.asked_at))},
        "e": {"N": str(pending.generation)},
        "g": {"N": str(flag_bits(pending.flags))},
    }
    if wanted.seen is not None:
        value["s"] = {"BOOL": wanted.seen}
    if wanted.flagged is not None:
        value["l"] = {"BOOL": wanted.flagged}
    if wanted.move_to is not None:
        value["t"] = {"S": wanted.move_to}
    if pending.folder_ids:
        value["f"] = {"SS": sorted(pending.folder_ids)}
    return {"M": value}


def pending_of(raw: Raw) -> Pending | None:
    """Return what is pending of the copy an item holds."""
    if "w" not in raw:
        return None
    value = raw["w"]["M"]
    return Pending(
        Wanted(
            seen=value["s"]["BOOL"] if "s" in value else None,
            flagged=value["l"]["BOOL"] if "l" in value else None,
            move_to=FolderId(value["t"]["S"]) if "t" in value else None,
        ),
        version=int(value["v"]["N"]),
        asked_at=from_microseconds(int(value["a"]["N"])),
        generation=int(value["e"]["N"]),
        flags=flags_of(int(value["g"]["N"]), int(raw["n"]["N"])),
        folder_ids=frozenset(FolderId(one) for one in value.get("f", {}).get("SS", ())),
    )

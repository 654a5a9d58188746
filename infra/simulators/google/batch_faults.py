"""Decides how a batch's answer can be wrong: parts missing, shuffled, nameless, or cut off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infra.simulators.kit.faults import FaultKind, Proceed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call

_ROUTE = r"^POST /batch(/gmail/v1)?$"


def batch_faults() -> dict[str, FaultKind]:
    """Return the faults by name."""
    return {
        # The last `parts` parts were never answered.
        "batch_parts_missing": _changed(lambda parts, p: parts[: -int(p["parts"])], parts=1),
        "batch_parts_reordered": _changed(lambda parts, _p: parts[::-1]),
        "batch_without_content_ids": _changed(
            lambda parts, _p: [re.sub(rb"Content-ID: [^\r]*\r\n", b"", part) for part in parts]
        ),
        "batch_part_garbled": _changed(
            lambda parts, _p: [b"Content-Type: application/http\r\n\r\nwhat?\r\n", *parts[1:]]
        ),
        # One part's answer twice.
        "batch_part_doubled": _changed(lambda parts, _p: [*parts, parts[0]]),
    }


def _changed(
    change: Callable[[list[bytes], Mapping[str, Any]], list[bytes]], **parameters: Any
) -> FaultKind:
    def around(given: Mapping[str, Any], _call: Call, proceed: Proceed) -> Response:
        response = proceed()
        boundary = response.mimetype_params.get("boundary", "").encode()
        if not boundary:
            return response
        pieces = response.get_data().split(b"--" + boundary)
        parts = [piece.removeprefix(b"\r\n") for piece in pieces[1:-1]]
        opening = b"--" + boundary
        made = b"".join(opening + b"\r\n" + part for part in change(parts, given))
        response.set_data(made + opening + b"--\r\n")
        return response

    return FaultKind(around, _ROUTE, parameters)

"""Decides what Gmail's own contract says: paths, scopes and schemas of its discovery document.

The document lies in google-api-python-client, a development dependency; it is read, never copied.
"""

from __future__ import annotations

import base64
import binascii
import functools
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DOCUMENT = "discovery_cache/documents/gmail.v1.json"
_INTEGERS = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API.

    Attributes:
        id: such as `gmail.users.messages.get`.
        http: its HTTP method.
        path: below the root, with `{braces}`.
        scopes: any of them is enough.
        query: names of its own query parameters, with their description.
        request: name of the body's schema, or "".
        response: name of the answer's schema, or "".
        upload: the path of its media variant, or "".
    """

    id: str
    http: str
    path: str
    scopes: tuple[str, ...]
    query: Mapping[str, Mapping[str, Any]]
    request: str
    response: str
    upload: str


@functools.cache
def document() -> dict[str, Any]:
    """Return Google's discovery document of Gmail v1."""
    # Without importing the package, which costs a third of a second.
    spec = importlib.util.find_spec("googleapiclient")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("google-api-python-client is not installed: it carries Gmail's contract")
    path = Path(spec.submodule_search_locations[0]) / _DOCUMENT
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@functools.cache
def methods() -> dict[str, Method]:
    """Return every method of the document by id."""
    return {method.id: method for method in _walk(document())}


def _walk(resource: Mapping[str, Any]) -> Iterator[Method]:
    for found in resource.get("methods", {}).values():
        parameters = found.get("parameters", {})
        uploads = found.get("mediaUpload", {}).get("protocols", {})
        yield Method(
            id=found["id"],
            http=found["httpMethod"],
            path=found["path"],
            scopes=tuple(found["scopes"]),
            query={n: p for n, p in parameters.items() if p["location"] == "query"},
            request=found.get("request", {}).get("$ref", ""),
            response=found.get("response", {}).get("$ref", ""),
            upload=uploads.get("simple", {}).get("path", ""),
        )
    for child in resource.get("resources", {}).values():
        yield from _walk(child)


def common_query() -> Mapping[str, Any]:
    """Return the query parameters that every method takes."""
    found: Mapping[str, Any] = document()["parameters"]
    return found


def problems(schema: str, value: Any) -> list[str]:
    """Return what is wrong with `value` as an instance of the named schema: nothing, if it is one.

    Stricter than JSON Schema: a field that the document does not name is a problem.
    """
    return list(_object_problems(document()["schemas"][schema], value, schema))


def _object_problems(schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: not an object"
        return
    for name, inner in value.items():
        known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
        if known is None:
            yield f'Unknown name "{name}" at {at}'
        else:
            yield from _value_problems(known, inner, f"{at}.{name}")


def _value_problems(schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _object_problems(document()["schemas"][schema["$ref"]], value, at)
    elif schema["type"] == "array":
        if not isinstance(value, list):
            yield f"{at}: not an array"
            return
        for index, item in enumerate(value):
            yield from _value_problems(schema["items"], item, f"{at}[{index}]")
    elif schema["type"] == "object":
        yield from _object_problems(schema, value, at)
    elif not _is_scalar(schema, value):
        yield f"{at}: {value!r:.60} is no {schema.get('format', schema['type'])}"


def _is_scalar(schema: Mapping[str, Any], value: Any) -> bool:
    kind, form = schema["type"], schema.get("format", "")
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return type(value) is int and _fits(form, value)
    if kind != "string" or not isinstance(value, str):
        return False
    if form in _INTEGERS:
        return re.fullmatch(r"-?\d+", value, re.ASCII) is not None and _fits(form, int(value))
    if form == "byte":
        return _is_base64(value)
    return value in schema["enum"] if "enum" in schema else True


def _fits(form: str, value: int) -> bool:
    low, high = _INTEGERS[form]
    return low <= value <= high


def _is_base64(value: str) -> bool:
    bare = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True

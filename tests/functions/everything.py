"""All that AWS holds of us, as text to search: items, objects, versions, uploads, secrets, queues.

What is packed is unpacked first, so that a word that was compressed is found as well.
"""

from collections.abc import Iterator
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends
from zstandard import ZstdError

from shared.aws.packing import UnknownFormError, unpack


def places_of(*words: str) -> dict[str, list[str]]:
    """Return each word's places: the store, and the key in it."""
    found: dict[str, list[str]] = {word: [] for word in words}
    for place, text in everything():
        for word in words:
            if word.lower() in text.lower():
                found[word].append(place)
    return found


def everything() -> Iterator[tuple[str, str]]:
    """Yield each thing with where it is."""
    yield from _items()
    yield from _objects()
    yield from _secrets()
    yield from _messages()


def _items() -> Iterator[tuple[str, str]]:
    for backend in dynamodb_backends[DEFAULT_ACCOUNT_ID].values():
        for table in backend.tables.values():
            for item in table.all_items():
                place = f"table {item.hash_key.value} {item.range_key.value}"
                yield place, " ".join(_texts(item.to_json()["Attributes"]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, bytes):
        yield _opened(value)
    else:
        yield str(value)


def _opened(data: bytes) -> str:
    try:
        return str(unpack(data))
    except (UnknownFormError, ZstdError):
        # Not packed: a digest or a key, which may begin with any byte.
        return data.decode("utf-8", "replace") + data.hex()


def _objects() -> Iterator[tuple[str, str]]:
    for bucket in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.values():
        # With all versions, and delete markers, which have no value.
        for name in list(bucket.keys):
            for version in bucket.keys.getlist(name):
                yield f"object {name}", f"{name} {_opened(getattr(version, 'value', b''))}"
        for upload in bucket.multiparts.values():
            parts = b"".join(part.value for part in upload.parts.values())
            yield f"upload {upload.key_name}", f"{upload.key_name} {_opened(parts)}"


def _secrets() -> Iterator[tuple[str, str]]:
    # With those that are deleted and could be restored.
    for backend in secretsmanager_backends[DEFAULT_ACCOUNT_ID].values():
        for name, secret in backend.secrets.items():
            yield f"secret {name}", f"{name} {secret.to_dict()} {secret.versions}"


def _messages() -> Iterator[tuple[str, str]]:
    # With those that are delayed, in flight, or in a dead-letter queue.
    for backend in sqs_backends[DEFAULT_ACCOUNT_ID].values():
        for queue in backend.queues.values():
            for message in queue._messages:
                yield f"queue {queue.name}", str(vars(message))

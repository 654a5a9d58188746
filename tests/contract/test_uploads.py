"""The contract of `UploadStore`: what was announced arrives and is read by whom it is from, and nothing else."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from shared.aws.upload_store import S3UploadStore
from shared.domain.ids import UploadId, UserId
from shared.domain.uploads import LARGEST_UPLOAD, Upload
from shared.ports.uploads import UploadedFile, UploadPlace, UploadStore
from tests.fakes.backends import BUCKET, on_aws
from tests.fakes.uploads import InMemoryUploadStore
from tests.fakes.values import NOW, OTHER_TENANT, TENANT

ANN, BOB = UserId("ann"), UserId("bob")
CONTENT = b"%PDF offer"
NAME = "Angebot \u00e4\u00f6\u00fc \u65e5\u672c.pdf"


@dataclass
class Uploads:
    store: UploadStore
    upload: Callable[[UploadPlace, bytes], None]

    def place(self, content=CONTENT, **changes) -> UploadPlace:
        facts = {
            "filename": NAME,
            "content_type": "application/pdf",
            "size": len(content),
            "sha256": hashlib.sha256(content).digest(),
        } | changes
        return self.store.place(TENANT, ANN, Upload(**facts), now=NOW, seconds=900)


def send(place: UploadPlace, content: bytes) -> None:
    answer = requests.put(place.url, data=content, headers=dict(place.headers), timeout=5)
    assert answer.status_code == 200, answer.text


@pytest.fixture(params=["memory", "aws"])
def uploads(request):
    if request.param == "memory":
        store = InMemoryUploadStore()
        yield Uploads(store, store.upload)
    else:
        with on_aws() as stores:
            yield Uploads(S3UploadStore(BUCKET, stores.clients), send)


@pytest.mark.parametrize("name", [NAME, "a", "x" * 255, "\U0001f4ce" * 255])
def test_what_was_announced_and_uploaded_is_read_back(uploads, name):
    place = uploads.place(filename=name)
    assert uploads.store.get(TENANT, ANN, place.id) is None
    uploads.upload(place, CONTENT)
    found = uploads.store.get(TENANT, ANN, place.id)
    assert found == UploadedFile(name, "application/pdf", CONTENT)
    assert (place.method, place.expires_at) == ("PUT", NOW + timedelta(seconds=900))


def test_it_is_there_for_whoever_uploaded_it_alone(uploads):
    place = uploads.place()
    uploads.upload(place, CONTENT)
    assert uploads.store.get(TENANT, BOB, place.id) is None
    assert uploads.store.get(OTHER_TENANT, ANN, place.id) is None


def test_two_places_for_one_file_are_two(uploads):
    first, second = uploads.place(), uploads.place()
    uploads.upload(first, CONTENT)
    assert uploads.store.get(TENANT, ANN, second.id) is None


@pytest.mark.parametrize("other", [b"", CONTENT[:-1], CONTENT + b"!", b"%PDF offfr"])
def test_anything_but_what_was_announced_counts_as_nothing(uploads, other):
    place = uploads.place()
    uploads.upload(place, CONTENT)
    uploads.upload(place, other)
    assert uploads.store.get(TENANT, ANN, place.id) is None


@pytest.mark.parametrize("name", ["", "..", "x" * 78, "a/b", "0" * 26 + "a" * 51])
def test_a_text_that_is_no_id_names_nothing(uploads, name):
    assert uploads.store.get(TENANT, ANN, UploadId(name)) is None


def test_length_type_digest_and_name_are_what_the_link_is_signed_for():
    with on_aws() as stores:
        place = Uploads(S3UploadStore(BUCKET, stores.clients), send).place()
    query = parse_qs(urlsplit(place.url).query)
    signed = set(query["X-Amz-SignedHeaders"][0].split(";"))
    assert signed == {"content-length", "host", *(name.lower() for name in place.headers)}
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert place.headers["x-amz-checksum-sha256"] == digest
    assert query["X-Amz-Expires"] == ["900"]
    assert f"/sending-uploads/acme/ann/{place.id}" in urlsplit(place.url).path


def test_no_more_is_read_than_an_upload_may_be_large(monkeypatch):
    monkeypatch.setattr("shared.aws.upload_store.LARGEST_UPLOAD", 4)
    content = b"x" * 5
    with on_aws() as stores:
        uploads = Uploads(S3UploadStore(BUCKET, stores.clients), send)
        place = uploads.place(content)
        uploads.upload(place, content)
        assert uploads.store.get(TENANT, ANN, place.id) is None
    assert LARGEST_UPLOAD * 78 // 57 < 25 * 1024 * 1024

"""The contract of `AttachmentStore`, and what S3 is left with."""

import hashlib
import urllib.parse

import pytest

from shared.aws.attachment_store import PART_BYTES
from shared.domain.errors import ErrorCode, UnreadableMessageError
from tests.fakes.backends import BUCKET
from tests.fakes.values import OTHER_TENANT, TENANT

LIMIT = 5 * PART_BYTES
HOLDER = "BOX/INBOX.1"
COPY = hashlib.blake2b(b"INBOX.1", digest_size=15).hexdigest()


def objects(stores) -> dict[str, bytes]:
    s3 = stores.clients.s3
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        one["Key"]: s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed
    }


def link(stores, **changes) -> dict[str, str]:
    asked = {"filename": "a.pdf", "content_type": "application/pdf", "seconds": 60} | changes
    url = stores.attachments.link(TENANT, "0" * 64, holder=HOLDER, **asked)
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    return query | {"path": urllib.parse.unquote(parts.path)}


@pytest.mark.parametrize("slices", [[], [b""], [b"abc", b"def"], [b"x" * 700_000] * 3])
def test_slices_are_stored_as_one_under_their_digest(stores, slices):
    content = b"".join(slices)
    stored = stores.attachments.put(TENANT, iter(slices), holder=HOLDER, limit=LIMIT)
    assert stored == (hashlib.sha256(content).hexdigest(), len(content))
    assert stores.attachments.put(TENANT, iter(slices), holder=HOLDER, limit=LIMIT) == stored


def test_what_is_past_the_limit_is_refused(stores):
    with pytest.raises(UnreadableMessageError) as caught:
        stores.attachments.put(TENANT, iter([b"abc", b"d"]), holder=HOLDER, limit=3)
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert stores.attachments.put(TENANT, iter([b"abc"]), holder=HOLDER, limit=3)[1] == 3


def test_a_small_one_is_one_object_of_its_tenant(aws):
    digest, _ = aws.attachments.put(TENANT, iter([b"abc"]), holder=HOLDER, limit=LIMIT)
    aws.attachments.put(TENANT, iter([b"a", b"bc"]), holder=HOLDER, limit=LIMIT)
    aws.attachments.put(OTHER_TENANT, iter([b"abc"]), holder=HOLDER, limit=LIMIT)
    assert objects(aws) == {
        f"attachments/acme/BOX/{COPY}/{digest}": b"abc",
        f"attachments/acme2/BOX/{COPY}/{digest}": b"abc",
    }


def test_each_copy_has_its_own(aws):
    first, _ = aws.attachments.put(TENANT, iter([b"abc"]), holder="BOX/1", limit=LIMIT)
    second, _ = aws.attachments.put(TENANT, iter([b"abc"]), holder="BOX/2", limit=LIMIT)
    aws.attachments.put(TENANT, iter([b"abc"]), holder="OTHER/1", limit=LIMIT)
    assert first == second
    assert len(objects(aws)) == 3


@pytest.mark.parametrize("holder", ["", "BOX", "BOX/", "/1"])
def test_a_holder_is_a_copy(aws, holder):
    with pytest.raises(ValueError, match="copy"):
        aws.attachments.put(TENANT, iter([b"abc"]), holder=holder, limit=LIMIT)


def test_a_large_one_travels_in_parts_and_ends_under_its_digest(aws):
    piece = bytes(range(256)) * 4096
    held = []

    def slices():
        for number in range(17):
            held.append(number)
            yield piece

    digest, size = aws.attachments.put(TENANT, slices(), holder=HOLDER, limit=LIMIT)
    assert (size, digest) == (len(piece) * 17, hashlib.sha256(piece * 17).hexdigest())
    stored = objects(aws)
    assert stored[f"attachments/acme/BOX/{COPY}/{digest}"] == piece * 17
    others = [key for key in stored if not key.endswith(digest)]
    assert all(key.startswith(f"attachments/.uploads/acme/BOX/{COPY}/") for key in others)


@pytest.mark.parametrize("fails_at", [1, 12])
def test_a_source_that_fails_or_is_too_long_leaves_nothing_behind(aws, fails_at):
    def slices():
        for number in range(14):
            if number == fails_at:
                raise ConnectionError("the server hung up")
            yield b"x" * (1024 * 1024)

    with pytest.raises(ConnectionError):
        aws.attachments.put(TENANT, slices(), holder=HOLDER, limit=LIMIT)
    with pytest.raises(UnreadableMessageError):
        aws.attachments.put(
            TENANT, [b"x" * PART_BYTES] * 3, holder=HOLDER, limit=2 * PART_BYTES + 1
        )
    assert objects(aws) == {}
    assert "Uploads" not in aws.clients.s3.list_multipart_uploads(Bucket=BUCKET)


@pytest.mark.parametrize("tenant", ["..", ".", "a/b", "../acme", "a#b", "ä %2E"])
def test_no_tenant_reaches_out_of_its_folder(aws, tenant):
    digest, _ = aws.attachments.put(tenant, iter([b"abc"]), holder=HOLDER, limit=LIMIT)
    (key,) = objects(aws)
    folder, own, *copy, last = key.split("/")
    assert (folder, copy, last) == ("attachments", ["BOX", COPY], digest)
    assert "." not in own
    assert own not in {"acme", "a"}


# ---- links ----


def test_a_link_is_to_one_object_for_the_time_asked_for(aws):
    asked = link(aws, seconds=60)
    assert asked["path"].endswith(f"/attachments/acme/BOX/{COPY}/" + "0" * 64)
    assert asked["X-Amz-Expires"] == "60"
    with pytest.raises(ValueError, match="digest"):
        aws.attachments.link(
            TENANT, "../x", holder=HOLDER, filename="a", content_type="b", seconds=1
        )


@pytest.mark.parametrize(
    ("content_type", "served_as"),
    [
        ("image/png", "image/png"),
        (" IMAGE/JPEG ", "image/jpeg"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
        ("image/png; x=y\r\nSet-Cookie: a", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_link_serves_only_harmless_types_as_what_they_are(aws, content_type, served_as):
    asked = link(aws, content_type=content_type)
    assert asked["response-content-type"] == served_as
    assert asked["response-content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("filename", "plain", "encoded"),
    [
        ("a.pdf", "a.pdf", "a.pdf"),
        ("Ängebot 1.pdf", "_ngebot 1.pdf", "%C3%84ngebot%201.pdf"),
        ('a"; filename="b.exe', "a__ filename=_b.exe", "a_%3B%20filename%3D_b.exe"),
        ("../../etc/passwd", "_.._etc_passwd", "_.._etc_passwd"),
        ("x\r\nSet-Cookie: a", "x__Set-Cookie_ a", "x__Set-Cookie_%20a"),
        ("gpj\u202eexe.x", "gpj_exe.x", "gpj_exe.x"),
        ("", "attachment", "attachment"),
        (" .. ", "attachment", "attachment"),
        ("\ud800.txt", "_.txt", "_.txt"),
    ],
)
def test_a_link_names_the_file_safely(aws, filename, plain, encoded):
    disposition = link(aws, filename=filename)["response-content-disposition"]
    assert disposition == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def test_a_long_name_keeps_its_ending(aws):
    for filename in ("é" * 500 + ".docx", "x" * 500, "." + "y" * 500):
        disposition = link(aws, filename=filename)["response-content-disposition"]
        assert len(urllib.parse.unquote(disposition.partition("UTF-8''")[2]).encode()) <= 180
    assert ".docx" in link(aws, filename="é" * 500 + ".docx")["response-content-disposition"]


def test_one_is_read_whole_by_tenant_copy_and_digest(stores):
    digest, _ = stores.attachments.put(TENANT, iter([b"ab", b"c"]), holder=HOLDER, limit=LIMIT)
    assert stores.attachments.get(TENANT, digest, holder=HOLDER) == b"abc"
    for tenant, holder, name in (
        (OTHER_TENANT, HOLDER, digest),
        (TENANT, "BOX/INBOX.2", digest),
        (TENANT, HOLDER, "0" * 64),
    ):
        assert stores.attachments.get(tenant, name, holder=holder) is None

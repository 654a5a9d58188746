import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableMessageError
from shared.domain.message import ParsedMessage
from shared.mime.parse import MimeParser
from tests.unit.mime import bombs
from tests.unit.mime.hostile import TOKENS, mutated
from tests.unit.mime.mail import in_parts, parse, whole

MOST_SECONDS = 2
"""The worst known are 50 MB of broken UTF-8 and 50 MB without a line end: about a second each."""


def texts(message: ParsedMessage) -> list[str]:
    return [
        message.subject,
        message.text,
        message.html or "",
        message.snippet,
        message.internet_message_id or "",
        message.in_reply_to or "",
        *message.references,
        *(p.name + p.address for p in message.participants),
        *(a.filename + a.content_type + (a.content_id or "") for a in message.attachments),
        *message.headers.values(),
    ]


def assert_storable(message: ParsedMessage) -> None:
    for text in texts(message):
        assert "\0" not in text
        text.encode()
    assert "\r" not in message.text
    assert len(message.snippet) <= 160
    for attachment in message.attachments:
        assert attachment.filename
        assert not set("/\\\r\n") & set(attachment.filename)


def read(message) -> None:
    try:
        assert_storable(MimeParser().parse(message))
    except UnreadableMessageError:
        # One that cannot be read is recorded as such; no other exception may leave.
        assert not (message.raw or message.header or b"").strip()


@pytest.mark.parametrize("seed", range(40))
def test_mutated_mail_never_raises(seed):
    random_ = random.Random(seed)
    for _ in range(100):
        read(whole(mutated(random_)))


@pytest.mark.parametrize("seed", range(5))
def test_mutated_mail_in_parts_never_raises(seed):
    random_ = random.Random(1_000 + seed)
    for _ in range(100):
        raw = mutated(random_)
        try:
            fetched = in_parts(raw)
        except (LookupError, ValueError, TypeError, AttributeError):
            # The standard library could not make parts of it; no server is asked to.
            continue
        read(fetched)


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read(raw):
    read(whole(raw))


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
def test_any_pile_of_syntax_is_read(tokens):
    read(whole(b"".join(tokens)))


@given(st.text(max_size=300), st.text(max_size=300))
def test_what_was_written_is_what_is_read(subject, text):
    import email.message
    import email.policy

    message = email.message.EmailMessage(policy=email.policy.SMTP)
    visible = " ".join("".join(c for c in subject if c.isprintable()).split())
    message["Subject"] = visible
    message.set_content("".join(c for c in text if c.isprintable() or c == "\n"))
    found = parse(message.as_bytes())
    assert found.subject.replace(" ", "") == visible.replace(" ", "")[:2_000]
    assert found.text.strip() == message.get_content().replace("\r\n", "\n").strip()


def test_the_slowest_message_stays_far_below_any_timeout():
    """There is no deadline per message: the caps are, and this holds them to it."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.mime.bombs"], check=True, capture_output=True, cwd=root
    )
    found = json.loads(done.stdout)
    assert found.keys() == (bombs.BOMBS | bombs.BOMBS_IN_PARTS).keys()
    slow = {name: cost for name, cost in found.items() if cost["seconds"] >= MOST_SECONDS}
    large = {name: cost for name, cost in found.items() if cost["megabytes"] >= 512}
    assert not slow
    assert not large
    unread = {name for name, cost in found.items() if cost["outcome"].startswith("message_")}
    assert unread == {"empty lines"}

"""Decides how a whole import is measured: through the HTTP API, on a stack that is thrown away.

From the request that connects the mailbox to the backfill's report that it is done: queues, real
function processes, the emulated table and bucket, attachments fetched. What it says is about this
machine and the emulator, so it is put beside mbsync's download of the same mailbox.
"""

import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.dovecot import DovecotServer
from infra.local.paths import Paths
from infra.local.smtp_server import SubmissionServer
from infra.local.stack import MailAccess
from tests.e2e.conftest import Caller, Stack
from tests.performance.fetch import mbsync
from tests.performance.server import HOME, PASSWORD, MeasuredMailbox
from tests.performance.synthetic_mail import FOLDERS, OWNER, generate

Figures = dict[str, Any]
_PATIENCE_SECONDS = 280
_DAYS = 30


class ImportFailedError(Exception):
    """The import did not end, or not with every message."""


def measure(messages: int) -> Figures:
    """Return how long the import of `messages` messages takes from the request to its end."""
    root = HOME / "stack"
    shutil.rmtree(root, ignore_errors=True)
    paths = Paths.of(root)
    paths.create()
    with (
        DovecotServer(paths.mail / "imap", {OWNER: PASSWORD}) as imap,
        SubmissionServer(paths.mail / "smtp", imap) as smtp,
    ):
        total = _fill(imap, messages)
        authority = imap.certificates.authority
        mailbox = MeasuredMailbox(imap.ports.tls, authority, messages, total)
        mbsync(mailbox)
        theirs = mbsync(mailbox)
        access = MailAccess(
            ports=(imap.ports.tls, imap.ports.starttls, smtp.ports.tls, smtp.ports.starttls),
            authority=authority,
        )
        stack: Any = Stack(paths, mail=access)
        try:
            stack.start()
            api = stack.as_user("bench", "bench", "admin")
            started = time.perf_counter()
            seconds_to_connect = _connect(api, imap, smtp) - started
            done = _until_done(api)
            seconds = time.perf_counter() - started
        finally:
            stack.stop()
    if done["stored"] != messages:
        raise ImportFailedError(f"{done}")
    shutil.rmtree(root, ignore_errors=True)
    return {
        "messages": messages,
        "seconds": seconds,
        "seconds_to_connect": seconds_to_connect,
        "mbsync_seconds": theirs["seconds"],
        "ratio_wall": theirs["seconds"] / seconds,
    }


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    return [
        (
            "import over HTTP on the local stack, messages/s, against mbsync's download",
            f"{figures['ratio_wall']:.3f} × ({figures['messages'] / figures['seconds']:,.0f}"
            f" : {figures['messages'] / figures['mbsync_seconds']:,.0f})",
            "",
        )
    ]


def _fill(imap: DovecotServer, messages: int) -> int:
    now = datetime.now(UTC) - timedelta(minutes=5)
    made = list(generate(messages, last_day=now, days=_DAYS - 5))
    for folder in FOLDERS:
        mine = [(one.raw, one.flags, one.received_at) for one in made if one.folder == folder]
        imap.mail(OWNER).append_many(folder, mine)
    return sum(len(one.raw) for one in made)


def _connect(api: Caller, imap: DovecotServer, smtp: SubmissionServer) -> float:
    sides = {
        side: {
            "host": "localhost",
            "port": port,
            "security": "tls",
            "username": OWNER,
            "password": PASSWORD,
        }
        for side, port in (("imap", imap.ports.tls), ("smtp", smtp.ports.tls))
    }
    answer = api("POST", "/v1/mailboxes", {**sides, "address": OWNER, "backfill_days": _DAYS})
    if answer.status != 201:
        raise ImportFailedError(f"{answer.status}: {answer.body}")
    return time.perf_counter()


def _until_done(api: Caller) -> dict[str, Any]:
    mailbox_id = api("GET", "/v1/mailboxes").body["items"][0]["id"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    backfill: dict[str, Any] = {}
    while time.monotonic() < deadline:
        answer = api("GET", f"/v1/mailboxes/{mailbox_id}/backfills")
        if answer.status == 200 and answer.body["items"]:
            backfill = answer.body["items"][0]
            if backfill["state"] == "done":
                return backfill
        # Rarely: a poll takes a process of the functions' own machine.
        time.sleep(1.0)
    raise ImportFailedError(f"not done after {_PATIENCE_SECONDS} s: {backfill}")

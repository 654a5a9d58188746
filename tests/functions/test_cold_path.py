"""What a function loads: nothing of a provider it does not speak to, and none of what costs most."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEVER = {"boto3", "aws_xray_sdk", "requests", "moto"}
MAIL = {"imapclient", "imaplib", "smtplib", "shared.providers.network", "shared.providers.imap"}
PARSING = {"fast_mail_parser", "shared.mime.parse"}
HTTP = {"aws_lambda_powertools.event_handler", "pydantic"}
STORES = {"pynamodb", "botocore.client", "botocore.session"}
AT_IMPORT = {
    "connect_mailbox": MAIL | PARSING,
    "disconnect_mailbox": MAIL | PARSING,
    "manage_mailboxes": MAIL | PARSING,
    "read_mail": MAIL | PARSING,
    "schedule_sync": MAIL | PARSING | HTTP,
    "sync_mailbox": HTTP,
    "plan_backfill": PARSING | HTTP,
    "run_backfill_chunk": HTTP,
    "maintain_mailboxes": MAIL | PARSING | HTTP,
    "record_dead_letter": MAIL | PARSING | HTTP,
}
READING = """
import os
os.environ.update(
    AWS_DEFAULT_REGION="eu-central-1", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x",
    MAILROOM_TABLE="t", MAILROOM_BUCKET="b",
)
from shared import wiring
wiring.mailboxes(), wiring.messages(), wiring.contacts(), wiring.backfills(), wiring.runs()
wiring.attachments(), wiring.clock()
wiring.preset_for("ann@gmail.com")
wiring.sanitiser(remote_images=False)("<p>x</p>")
"""


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize("name", AT_IMPORT)
def test_importing_a_handler_loads_no_more_than_it_must(name):
    modules = loaded(f"import functions.{name}.handler")
    assert sorted(modules & (AT_IMPORT[name] | NEVER | STORES)) == []


def test_reading_mail_never_loads_a_mail_client():
    modules = loaded(f"import functions.read_mail.handler\n{READING}")
    assert sorted(modules & (MAIL | PARSING | NEVER)) == []

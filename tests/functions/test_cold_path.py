"""What a function loads: nothing of a provider it does not speak to, and none of what costs most."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.performance.imports import ENVIRONMENT, adapters

ROOT = Path(__file__).resolve().parents[2]
NEVER = {"boto3", "aws_xray_sdk", "google.auth", "moto", "msal", "requests"}
MAIL = {"imapclient", "imaplib", "smtplib", "shared.providers.network", "shared.providers.imap"}
PARSING = {"fast_mail_parser", "shared.mime.parse"}
HTTP = {"aws_lambda_powertools.event_handler", "pydantic"}
STORES = {"pynamodb", "botocore.client", "botocore.session"}
AT_IMPORT = {
    "complete_connection": MAIL | PARSING,
    "connect_mailbox": MAIL | PARSING,
    "disconnect_mailbox": MAIL | PARSING,
    "manage_mailboxes": MAIL | PARSING,
    "preview_backfill": MAIL | PARSING,
    "read_mail": MAIL | PARSING,
    "send_message": MAIL | PARSING,
    "schedule_sync": MAIL | PARSING | HTTP,
    "sync_mailbox": HTTP,
    "plan_backfill": PARSING | HTTP,
    "run_backfill_chunk": HTTP,
    "deliver_outbound": MAIL | PARSING | HTTP,
    "erase_mail": MAIL | PARSING | HTTP,
    "maintain_mailboxes": MAIL | PARSING | HTTP,
    "record_dead_letter": MAIL | PARSING | HTTP,
}
WITH_ADAPTERS = {
    "complete_connection": MAIL | PARSING,
    "connect_mailbox": PARSING,
    "disconnect_mailbox": MAIL | PARSING,
    "manage_mailboxes": MAIL | PARSING,
    "preview_backfill": set(),
    "read_mail": MAIL | PARSING,
    "send_message": MAIL | PARSING,
    "schedule_sync": MAIL | PARSING | HTTP,
    "sync_mailbox": HTTP,
    "plan_backfill": PARSING | HTTP,
    "run_backfill_chunk": HTTP,
    "deliver_outbound": HTTP,
    "erase_mail": MAIL | PARSING | HTTP,
    "maintain_mailboxes": MAIL | PARSING | HTTP,
    "record_dead_letter": MAIL | PARSING | HTTP,
}


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **ENVIRONMENT},
    )
    return set(answer.stdout.split())


def test_every_function_has_its_list():
    functions = {path.parent.name for path in ROOT.glob("functions/*/handler.py")}
    assert set(AT_IMPORT) == set(WITH_ADAPTERS) == functions


@pytest.mark.parametrize("name", AT_IMPORT)
def test_importing_a_handler_loads_no_more_than_it_must(name):
    modules = loaded(f"import functions.{name}.handler")
    assert sorted(modules & (AT_IMPORT[name] | NEVER | STORES)) == []


@pytest.mark.parametrize("name", WITH_ADAPTERS)
def test_a_handlers_adapters_load_no_more_than_they_must(name):
    modules = loaded(f"import functions.{name}.handler\n{adapters(name)}")
    assert sorted(modules & (WITH_ADAPTERS[name] | NEVER)) == []


def test_showing_a_message_loads_no_mail_client_and_no_parser():
    shown = 'wiring.sanitiser(remote_images=False)("<p>x</p>")\nwiring.preset_for("ann@gmail.com")'
    modules = loaded(f"import functions.read_mail.handler\n{adapters('read_mail')}\n{shown}")
    assert sorted(modules & (MAIL | PARSING | NEVER)) == []


OF_A_PROVIDER = {
    "imap": {"imapclient", "imaplib", "shared.providers.imap"},
    "gmail": {"google.auth", "google.oauth2", "shared.providers.gmail"},
    "outlook": {"msal", "jwt", "shared.providers.outlook"},
}
NO_PRODUCT_NEEDS = {"googleapiclient", "msgraph", "httplib2", "httpx"}


@pytest.mark.parametrize("provider", OF_A_PROVIDER)
def test_one_providers_mailboxes_load_no_library_of_another(provider):
    others = set().union(*(OF_A_PROVIDER[other] for other in OF_A_PROVIDER if other != provider))
    modules = loaded(
        "from shared import wiring, wiring_of_sign_ins\n"
        "from shared.domain.mailbox import Provider\n"
        f"provider = Provider('{provider}')\n"
        "wiring.provider_of(provider)\n"
        "if provider is not Provider.IMAP:\n"
        "    wiring_of_sign_ins.sign_in(provider), wiring_of_sign_ins.account_reader(provider)"
    )
    assert sorted(modules & (others | NO_PRODUCT_NEEDS)) == []


@pytest.mark.parametrize("provider", ["gmail", "outlook"])
def test_a_poll_with_a_token_that_lasts_loads_no_library_of_the_sign_in(provider):
    # The library is for signing in and renewing: once an hour, not once a poll.
    modules = loaded(
        "from shared import wiring, wiring_of_sign_ins\n"
        "from shared.domain.mailbox import Provider\n"
        f"wiring.provider_of(Provider('{provider}'))\n"
        f"wiring_of_sign_ins.sign_in(Provider('{provider}'))"
    )
    assert sorted(modules & {"google.auth", "google.oauth2", "msal", "jwt", "requests"}) == []

"""What a function starts from: its bundle and nothing else, and of that no more than it must load."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.tasks import artifact
from tests.performance.imports import BEGIN, END, ENVIRONMENT, PAGE, adapters

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
    "receive_push": MAIL | PARSING | HTTP,
    "publish_events": MAIL | PARSING | HTTP | {"shared.wiring"},
    "serve_page": MAIL | PARSING | HTTP | {"shared.wiring", "aws_lambda_powertools"},
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
    "receive_push": MAIL | PARSING | HTTP,
    "publish_events": MAIL | PARSING | HTTP | {"shared.wiring"},
    "serve_page": MAIL | PARSING | HTTP | {"shared.wiring", "aws_lambda_powertools"},
}


_PROBE = """
import sys, sysconfig
sys.path.insert(0, {bundle!r})
{statement}
at_import = " ".join(sys.modules)
{use}
homes = ({bundle!r}, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
files = {{name: getattr(one, "__file__", None) for name, one in sys.modules.items()}}
print(at_import)
print(*sys.modules)
print(*(name for name, file in files.items() if file and not file.startswith(homes)))
"""


def loaded(bundle: Path, probe: "Probe") -> list[set[str]]:
    """What is loaded by the one, then by both, and what of it is from elsewhere than the bundle."""
    script = _PROBE.format(bundle=str(bundle), statement=probe.statement, use=probe.use)
    answer = subprocess.run(
        # No packages but the bundle's: neither the environment's own nor what lies around.
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath, **ENVIRONMENT},
    )
    assert answer.returncode == 0, answer.stderr
    return [set(line.split(" ")) - {""} for line in answer.stdout.splitlines()]


def test_every_function_has_its_list():
    functions = {path.parent.name for path in ROOT.glob("functions/*/handler.py")}
    assert set(AT_IMPORT) == set(WITH_ADAPTERS) == functions
    told = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert [name for name in sorted(functions) if f"| {name} |" not in told] == []


@dataclass(frozen=True)
class Probe:
    """What is run, and what may not be loaded by the one line and by both."""

    statement: str
    use: str
    never_first: set[str]
    never: set[str]


def of_provider(provider: str, *more: str) -> str:
    asked = "\n".join(("wiring.provider_of(provider)", *more))
    return f"from shared.domain.mailbox import Provider\nprovider = Provider('{provider}')\n{asked}"


HANDLERS = {
    name: Probe(
        f"import functions.{name}.handler",
        adapters(name),
        AT_IMPORT[name] | NEVER | STORES,
        WITH_ADAPTERS[name] | NEVER,
    )
    for name in AT_IMPORT
}
SHOWING = Probe(
    "import functions.read_mail.handler",
    f"{adapters('read_mail')}\n"
    'wiring.sanitiser(remote_images=False)("<p>x</p>")\nwiring.preset_for("ann@gmail.com")',
    set(),
    MAIL | PARSING | NEVER,
)
OF_A_PROVIDER = {
    "imap": {"imapclient", "imaplib", "shared.providers.imap"},
    "gmail": {"google.auth", "google.oauth2", "shared.providers.gmail"},
    "outlook": {"msal", "jwt", "shared.providers.outlook"},
}
NO_PRODUCT_NEEDS = {"googleapiclient", "msgraph", "httplib2", "httpx"}
SIGN_IN, ACCOUNT = (
    f"wiring_of_sign_ins.{name}(provider)" for name in ("sign_in", "account_reader")
)
PROVIDERS = {
    f"one provider's mailboxes: {provider}": Probe(
        "from shared import wiring, wiring_of_sign_ins",
        of_provider(provider, *(() if provider == "imap" else (SIGN_IN, ACCOUNT))),
        set(),
        NO_PRODUCT_NEEDS.union(*(OF_A_PROVIDER[one] for one in OF_A_PROVIDER if one != provider)),
    )
    for provider in OF_A_PROVIDER
}
# The library is for signing in and renewing: once an hour, not once a poll.
LASTING_TOKENS = {
    f"a poll with a token that lasts: {provider}": Probe(
        "from shared import wiring, wiring_of_sign_ins",
        of_provider(provider, SIGN_IN),
        set(),
        {"google.auth", "google.oauth2", "msal", "jwt", "requests"},
    )
    for provider in ("gmail", "outlook")
}
PROBES = {**HANDLERS, "showing a message": SHOWING, **PROVIDERS, **LASTING_TOKENS}


def names_this_machine(path: Path, bundle: Path) -> bool:
    content = path.read_bytes()
    return any(str(place).encode() in content for place in (bundle, ROOT, sys.prefix))


def test_each_function_starts_from_its_bundle_alone_and_loads_no_more_than_it_must(tmp_path):
    # One test, so that whoever runs them side by side builds one bundle.
    bundle = artifact.for_this_machine(tmp_path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = pool.map(lambda probe: loaded(bundle, probe), PROBES.values())
        found = dict(zip(PROBES, told, strict=True))
    for name, (first, both, from_elsewhere) in found.items():
        assert (name, sorted(from_elsewhere)) == (name, [])
        assert (name, sorted(first & PROBES[name].never_first)) == (name, [])
        assert (name, sorted(both & PROBES[name].never)) == (name, [])
    files = artifact.files_of(bundle)
    assert sum(path.stat().st_size for path in files.values()) <= artifact.LARGEST_BYTES
    # Built elsewhere it is the same, byte for byte: nothing in it says where, nor is a digest of that.
    assert not [name for name in files if name.endswith(("/RECORD", "/direct_url.json"))]
    assert not [name for name, path in files.items() if names_this_machine(path, bundle)]

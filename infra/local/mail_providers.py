"""Gmail and Outlook of the local stack: the simulators, their accounts' mail, our clients there.

A person signs in to them in a browser, over plain http on loopback, because no browser knows the
stack's own authority; the functions speak to them over https and check the certificate. Both push:
Gmail's topic is set up as an operator does it (infra/push.md), Graph finds the API by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

from infra.local import ports
from infra.local.certificates import CertificateSet
from infra.local.demo_mail import ADDRESS, DemoMessage, build
from infra.local.paths import Paths
from infra.local.stack import LocalStack
from infra.simulators.google import GoogleSimulator
from infra.simulators.google.world import Limits
from infra.simulators.kit.mailbox import Delivery, MailboxControl
from infra.simulators.microsoft import MicrosoftSimulator
from infra.tasks.oauth_client import store_secret
from shared.aws.oauth_clients import client_secret_name, written_client
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient

CLIENT_ID: Final = "mailroom-local"
CLIENT_SECRET: Final = "GOCSPX-obviously-false-7Qx2fW9k"
GMAIL_ADDRESSES: Final = ("ada@gmail.example", "grace@gmail.example")
OUTLOOK_ADDRESSES: Final = ("ada@outlook.example", "grace@outlook.example")
GMAIL_UNITS_PER_MINUTE: Final = 60_000
"""Ten times Google's, so that nobody waits for the demo's import; faults show the real limit."""

PROJECT: Final = "mailroom-local"
PUSH_TOPIC: Final = f"projects/{PROJECT}/topics/gmail"
PUSH_AUDIENCE: Final = "mailroom-local"
PUSH_SENDER: Final = f"push@{PROJECT}.iam.gserviceaccount.com"

_GMAIL_LABELS: Final = {"INBOX": "INBOX", "Sent": "SENT", "Junk": "SPAM", "Trash": "TRASH"}
_OUTLOOK_FOLDERS: Final = {
    "INBOX": "inbox",
    "Sent": "sentitems",
    "Junk": "junkemail",
    "Trash": "deleteditems",
}


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """One of the two, with what tells it apart from the other."""

    provider: str
    simulator: GoogleSimulator | MicrosoftSimulator
    addresses: tuple[str, ...]
    folders: Mapping[str, str]
    """The provider's own folders by the name they have in the demo mailbox."""
    registration: Mapping[str, str] = field(default_factory=dict)
    """What is registered with our client besides its address."""
    push_topic: str = ""


class MailProviders:
    """Both simulators, in this process. Their state outlives it."""

    def __init__(self, paths: Paths, certificates: CertificateSet) -> None:
        self._paths = paths
        self._certificates = certificates
        self.google: GoogleSimulator | None = None
        self.microsoft: MicrosoftSimulator | None = None

    def start(self) -> None:
        """Serve on the ports they had before."""
        self._paths.simulators.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.google = GoogleSimulator(
            **self._given("google"),
            limits=Limits(user_units=GMAIL_UNITS_PER_MINUTE),
        ).start()
        self.microsoft = MicrosoftSimulator(**self._given("microsoft")).start()

    def stop(self) -> None:
        """Stop serving; accounts, mail and grants stay."""
        for simulator in (self.google, self.microsoft):
            if simulator is not None:
                simulator.stop()

    def parameters(self) -> dict[str, str]:
        """The template's parameters that lead the functions to them."""
        google, microsoft = self._started()
        return {
            "GoogleUrl": google.url,
            "GoogleSignInUrl": google.browser_url,
            "MicrosoftLoginUrl": microsoft.url,
            "GraphUrl": microsoft.url,
            "GmailUnitsPerMinute": str(GMAIL_UNITS_PER_MINUTE),
            "GmailPushAudience": PUSH_AUDIENCE,
            "GmailPushSenders": PUSH_SENDER,
        }

    def register(self, stack: LocalStack) -> None:
        """Register Mailroom at both, as an operator does once at the real ones."""
        google, _ = self._started()
        google.add_topic(
            PUSH_TOPIC,
            endpoint=f"{stack.api_url}/v1/push/gmail",
            service_account=PUSH_SENDER,
            audience=PUSH_AUDIENCE,
        )
        for one in self._both():
            redirect_uri = f"{stack.api_url}/v1/oauth/{one.provider}/callback"
            one.simulator.add_client(CLIENT_ID, CLIENT_SECRET, [redirect_uri], **one.registration)
            name = client_secret_name("mailroom-local", Provider(one.provider))
            client = OAuthClient(CLIENT_ID, Secret(CLIENT_SECRET), push_topic=one.push_topic)
            store_secret(stack.client("secretsmanager"), name, written_client(client))

    def fill(self) -> int:
        """Make the demo's accounts with their mail where there are none; return how many made."""
        made = 0
        for one in self._both():
            known = set(one.simulator.users())
            for address in one.addresses:
                if address not in known:
                    one.simulator.add_user(address, name=address.partition("@")[0].title())
                    _fill(one.simulator.mail(address), address, one.folders)
                    made += 1
        return made

    def as_json(self) -> dict[str, Any]:
        """What `stack.json` says of them."""
        return {
            one.provider: {
                "url": one.simulator.url,
                "browser_url": one.simulator.browser_url,
                "control": f"{one.simulator.browser_url}/_control",
                "addresses": list(one.addresses),
            }
            for one in self._both()
        }

    def _given(self, name: str) -> dict[str, Any]:
        return {
            "state": self._paths.simulators / f"{name}.sqlite",
            "certificate": self._certificates.good.certificate,
            "key": self._certificates.good.key,
            "port": ports.claim(self._paths, f"{name} https"),
            "browser_port": ports.claim(self._paths, f"{name} http"),
        }

    def _started(self) -> tuple[GoogleSimulator, MicrosoftSimulator]:
        if self.google is None or self.microsoft is None:
            raise AssertionError("not started")
        return self.google, self.microsoft

    def _both(self) -> tuple[SimulatedProvider, SimulatedProvider]:
        google, microsoft = self._started()
        return (
            SimulatedProvider(
                "gmail",
                google,
                GMAIL_ADDRESSES,
                _GMAIL_LABELS,
                {"project_id": PROJECT},
                PUSH_TOPIC,
            ),
            SimulatedProvider("outlook", microsoft, OUTLOOK_ADDRESSES, _OUTLOOK_FOLDERS),
        )


def _fill(mail: MailboxControl, address: str, folders: Mapping[str, str]) -> None:
    """Put mail in as of the demo, and of `address` alone: another one has other conversations."""
    messages = build(datetime.now(UTC), seed=crc32(address.encode()))
    places = {
        name: folders.get(name) or mail.create_folder(name)
        for name in dict.fromkeys(message.folder for message in messages)
    }
    mail.deliver_all([_delivery(one, address, places[one.folder]) for one in messages])


def _delivery(message: DemoMessage, address: str, folder: str) -> Delivery:
    return Delivery(
        raw=message.raw.replace(ADDRESS.encode(), address.encode()),
        folders=(folder,),
        received_at=message.internal_date,
        seen="\\Seen" in message.flags,
    )

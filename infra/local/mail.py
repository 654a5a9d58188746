"""The mail servers that run beside the local stack, and whose mailboxes are on them.

The demo connects one of them, a colleague's is left for whoever tries the page, and the third is a
customer's, so that mail has somewhere to arrive and somebody to answer it.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from infra.local.demo_corpus.people import GRACE
from infra.local.demo_mail import ADDRESS, build, demo_contacts, load
from infra.local.dovecot import DovecotServer
from infra.local.paths import Paths, write_whole
from infra.local.smtp_server import SubmissionServer
from infra.local.stack import MailAccess

PASSWORD: Final = "demo-password-of-ada"
GRACE_PASSWORD: Final = "demo-password-of-grace"
CUSTOMER_PASSWORD: Final = "demo-password-of-anna"
HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Login:
    """Where and how to log in: the fields of the API's `imap` and `smtp`."""

    host: str
    port: int
    security: str
    username: str
    password: str

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class MailServers:
    """The demo's IMAP and SMTP servers, with their mail under the stack's folder."""

    def __init__(self, paths: Paths) -> None:
        self.customer = demo_contacts()[0].person
        users = {
            ADDRESS: PASSWORD,
            GRACE.address: GRACE_PASSWORD,
            self.customer.address: CUSTOMER_PASSWORD,
        }
        self.dovecot = DovecotServer(paths.mail / "imap", users)
        self.submission = SubmissionServer(paths.mail / "smtp", self.dovecot)
        self._filled = paths.mail / "filled-with-demo"

    def start(self) -> None:
        """Start them. Raises SystemExit with advice when Dovecot cannot be installed."""
        self.dovecot.start()
        self.submission.start()

    def stop(self) -> None:
        """Stop them; the mail stays."""
        self.submission.stop()
        self.dovecot.stop()

    @property
    def access(self) -> MailAccess:
        """What the functions need to reach them."""
        imap, smtp = self.dovecot.ports, self.submission.ports
        return MailAccess(
            ports=(imap.tls, imap.starttls, smtp.tls, smtp.starttls),
            authority=self.dovecot.certificates.authority,
        )

    def as_json(self) -> dict[str, Any]:
        """Both logins, as the API takes them."""
        return {"imap": self.imap.as_json(), "smtp": self.smtp.as_json()}

    def parameters(self) -> dict[str, str]:
        """The template's parameters by which somebody connects a mailbox here without reading."""
        imap, smtp = (f"{side.host}:{side.port}/{side.security}" for side in (self.imap, self.smtp))
        return {
            "OwnMailServers": f"{ADDRESS.rpartition('@')[2]} {imap} {smtp}",
            "PageNote": (
                f"On this machine: connect {GRACE.address} with the password {GRACE_PASSWORD},"
                " or sign in at the simulated Google and Microsoft."
            ),
        }

    def contacts(self) -> dict[str, dict[str, Any]]:
        """Contacts of the demo's CRM by id, as the API takes them; the most talkative first."""
        return {
            contact.contact_id: {
                "name": contact.name,
                "addresses": list(contact.addresses),
                "attributes": {"company": contact.company},
            }
            for contact in demo_contacts()
        }

    def fill(self) -> int:
        """Put the demo's mail into its mailboxes unless it is there.

        Returns how many messages that of the demo has; a colleague's has those of them she was
        sent as well. The mail counts as there only when all of it is: what an interrupted run
        began is dropped.
        """
        if self._filled.exists():
            return int(self._filled.read_text())
        self.dovecot.stop()
        for address in (ADDRESS, GRACE.address):
            shutil.rmtree(self.dovecot.mail_directory(address).parent, ignore_errors=True)
        self.dovecot.start()
        messages = build(datetime.now(UTC))
        load(self.dovecot.mail(ADDRESS), messages)
        copied = [one for one in messages if GRACE.address.encode() in one.raw.lower()]
        load(self.dovecot.mail(GRACE.address), [replace(one, folder="INBOX") for one in copied])
        write_whole(self._filled, str(len(messages)))
        return len(messages)

    @property
    def imap(self) -> Login:
        """The demo mailbox over IMAP."""
        return Login(HOST, self.dovecot.ports.tls, "tls", ADDRESS, PASSWORD)

    @property
    def customer_imap(self) -> Login:
        """The customer's mailbox over IMAP, to see what arrived."""
        port = self.dovecot.ports.tls
        return Login(HOST, port, "tls", self.customer.address, CUSTOMER_PASSWORD)

    @property
    def customer_smtp(self) -> Login:
        """The customer's mailbox over SMTP, to answer."""
        port = self.submission.ports.tls
        return Login(HOST, port, "tls", self.customer.address, CUSTOMER_PASSWORD)

    @property
    def smtp(self) -> Login:
        """The demo mailbox over SMTP."""
        return Login(HOST, self.submission.ports.tls, "tls", ADDRESS, PASSWORD)


def end_leftovers(paths: Paths) -> None:
    """Stop a mail server that a killed stack left running."""
    if (paths.mail / "imap").exists():
        DovecotServer(paths.mail / "imap", {}).stop()

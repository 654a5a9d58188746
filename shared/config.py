"""Which settings a deployment has.

Read once from the environment, typed, each error naming its variable.

A function is given only the variables it needs (template.yaml), so a missing one is an error when
it is asked for and not when the module loads. Nothing else in functions/ or shared/ reads the
environment.
"""

import functools
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from shared.domain.loops import RUNS_OF_A_MAILBOX
from shared.domain.quotas import USUAL, Quotas

_TRUE = {"true": True, "false": False}
_LARGEST_PORT = 65_535


class SettingError(Exception):
    """A variable is missing or wrong: it is the deployment that has to be mended."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable} {reason}")
        self.variable = variable


class Settings:
    """The deployment's settings. A property raises `SettingError` for a variable it cannot use."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    @property
    def table(self) -> str:
        """Name of the DynamoDB table."""
        return self._required("MAILROOM_TABLE")

    @property
    def bucket(self) -> str:
        """Name of the S3 bucket for bodies and attachments."""
        return self._required("MAILROOM_BUCKET")

    @property
    def secret_prefix(self) -> str:
        """What the names of this deployment's secrets start with, without a slash at the end."""
        return self._required("MAILROOM_SECRET_PREFIX").rstrip("/")

    @property
    def credential_store(self) -> str:
        """Where logins are kept, `secrets` or `sealed`; empty: each is left where it is."""
        name = "MAILROOM_CREDENTIAL_STORE"
        store = self._text(name)
        if store not in {"", "secrets", "sealed"}:
            raise SettingError(name, "must be secrets or sealed")
        return store

    @property
    def login_key(self) -> str:
        """ARN of the key of KMS that wraps what logins are sealed with; asked only where one is."""
        return self._text("MAILROOM_LOGIN_KEY")

    @property
    def sync_queue_url(self) -> str:
        """Where sync requests go."""
        return self._required("MAILROOM_SYNC_QUEUE_URL")

    @property
    def plan_queue_url(self) -> str:
        """Where plan requests go."""
        return self._required("MAILROOM_PLAN_QUEUE_URL")

    @property
    def chunk_queue_url(self) -> str:
        """Where chunk requests go."""
        return self._required("MAILROOM_CHUNK_QUEUE_URL")

    @property
    def queue_urls(self) -> dict[str, str]:
        """The queues of work this function was given, by kind."""
        kinds = ("sync", "plan", "chunk", "erase", "outbound")
        names = {kind: f"MAILROOM_{kind.upper()}_QUEUE_URL" for kind in kinds}
        return {kind: self._environ[name] for kind, name in names.items() if self._text(name)}

    @property
    def event_bus(self) -> str:
        """Name of the bus that others hear of changes on."""
        return self._required("MAILROOM_EVENT_BUS")

    @property
    def events_dead_letter_queue_url(self) -> str:
        """Where it is kept which changes could not be told."""
        return self._required("MAILROOM_EVENTS_DEAD_LETTER_QUEUE_URL")

    @property
    def allow_private_hosts(self) -> bool:
        """Whether mail servers in private networks may be named (the stack on one machine)."""
        return self._flag("MAILROOM_ALLOW_PRIVATE_HOSTS")

    @property
    def allow_untrusted_certificates(self) -> bool:
        """Whether a user may accept a certificate no authority vouches for."""
        return self._flag("MAILROOM_ALLOW_UNTRUSTED_CERTIFICATES")

    @property
    def allow_plaintext(self) -> bool:
        """Whether a user may connect without TLS."""
        return self._flag("MAILROOM_ALLOW_PLAINTEXT")

    @property
    def allow_admin_openings(self) -> bool:
        """Whether an administrator may open a mailbox of somebody else, for a while, on record."""
        return self._flag("MAILROOM_ALLOW_ADMIN_OPENINGS")

    @property
    def extra_ca_file(self) -> str | None:
        """PEM file of one more authority for mail servers, or None."""
        return self._text("MAILROOM_EXTRA_CA_FILE") or None

    @property
    def extra_mail_ports(self) -> frozenset[int]:
        """Ports mail servers may use besides the standard ones."""
        name = "MAILROOM_EXTRA_MAIL_PORTS"
        ports = [part.strip() for part in self._text(name).split(",") if part.strip()]
        if not all(part.isascii() and part.isdigit() for part in ports):
            raise SettingError(name, "must be port numbers with commas between them")
        numbers = frozenset(int(part) for part in ports)
        if any(not 1 <= number <= _LARGEST_PORT for number in numbers):
            raise SettingError(name, f"must name ports from 1 to {_LARGEST_PORT}")
        return numbers

    @property
    def refused_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Public address ranges of the operator's own, closed to hosts that users name."""
        name = "MAILROOM_REFUSED_NETWORKS"
        parts = [part.strip() for part in self._text(name).split(",") if part.strip()]
        try:
            return tuple(ip_network(part) for part in parts)
        except ValueError:
            raise SettingError(name, "must name address ranges like 203.0.113.0/24") from None

    @property
    def own_mail_servers(self) -> str:
        """Servers of the operator's own domains, as the template's OwnMailServers has them."""
        return self._text("MAILROOM_OWN_MAIL_SERVERS")

    @property
    def sync_minutes(self) -> int:
        """How often a mailbox is polled unless its settings say otherwise, in minutes."""
        return self._count("MAILROOM_SYNC_MINUTES", "minutes", 5)

    @property
    def redirect_url(self) -> str:
        """Where the API is reached from outside, without a slash at the end: never from a request.

        `{api_id}` in it stands for the id of the API, which the template cannot name to its own
        functions.
        """
        return self._required("MAILROOM_REDIRECT_URL").rstrip("/")

    @property
    def return_origins(self) -> tuple[str, ...]:
        """The origins a browser may be sent back to after a sign-in."""
        parts = self._text("MAILROOM_RETURN_ORIGINS").split(",")
        return tuple(part.strip() for part in parts if part.strip())

    @property
    def google_url(self) -> str:
        """Where Gmail's API and Google's tokens are; empty for Google's own hosts."""
        return self._text("MAILROOM_GOOGLE_URL").rstrip("/")

    @property
    def google_sign_in_url(self) -> str:
        """Where people sign in at Google; empty for Google's own host."""
        return self._text("MAILROOM_GOOGLE_SIGN_IN_URL").rstrip("/")

    @property
    def microsoft_login_url(self) -> str:
        """Where people sign in at Microsoft, and tokens are; empty for the worldwide cloud."""
        return self._text("MAILROOM_MICROSOFT_LOGIN_URL").rstrip("/")

    @property
    def graph_url(self) -> str:
        """Where Microsoft Graph is; empty for the worldwide cloud."""
        return self._text("MAILROOM_GRAPH_URL").rstrip("/")

    @property
    def gmail_push_audience(self) -> str:
        """The audience of the tokens that Pub/Sub pushes with; empty: Gmail does not push."""
        return self._text("MAILROOM_GMAIL_PUSH_AUDIENCE")

    @property
    def gmail_push_senders(self) -> frozenset[str]:
        """The service accounts in whose name Pub/Sub pushes."""
        parts = self._text("MAILROOM_GMAIL_PUSH_SENDERS").split(",")
        return frozenset(part.strip() for part in parts if part.strip())

    @property
    def outlook_push_url(self) -> str:
        """Where Graph is to tell of changes; empty: Outlook does not push.

        `{api_id}` in the address stands for the id of the API, as in `redirect_url`.
        """
        if not self._flag("MAILROOM_OUTLOOK_PUSH"):
            return ""
        public = self._required("MAILROOM_PUBLIC_URL").rstrip("/")
        return public.replace("{api_id}", self._text("MAILROOM_API_ID")) + "/v1/push/outlook"

    @property
    def minimum_sync_minutes(self) -> int:
        """How often a mailbox is polled at most, whatever its settings say, in minutes."""
        return self._count("MAILROOM_MINIMUM_SYNC_MINUTES", "minutes", 1)

    @property
    def pushed_sync_minutes(self) -> int:
        """How often a mailbox is polled whose provider tells of changes, in minutes."""
        return self._count("MAILROOM_PUSHED_SYNC_MINUTES", "minutes", 30)

    @property
    def gmail_units_per_minute(self) -> int:
        """What Gmail's quota grants one user of this project a minute, in units."""
        return self._count("MAILROOM_GMAIL_UNITS_PER_MINUTE", "units", 6_000)

    @property
    def runs_of_mailbox_an_hour(self) -> int:
        """How many sync runs a mailbox may have in an hour before they count as a loop."""
        return self._count("MAILROOM_RUNS_OF_MAILBOX_AN_HOUR", "runs", RUNS_OF_A_MAILBOX)

    @property
    def chunks_of_a_tenant(self) -> int:
        """How many chunks of backfills one tenant may have at work at once."""
        return self._count("MAILROOM_CHUNKS_OF_A_TENANT", "chunks", 10)

    @property
    def quotas(self) -> Quotas:
        """What one tenant may have at most."""
        return Quotas(
            mailboxes=self._count("MAILROOM_MAILBOXES_OF_TENANT", "mailboxes", USUAL.mailboxes),
            imports_a_day=self._count(
                "MAILROOM_IMPORTS_OF_TENANT_A_DAY", "imports", USUAL.imports_a_day
            ),
        )

    @property
    def recipients_of_a_mail(self) -> int:
        """For how many recipients one mail may be that is sent from here."""
        return self._count("MAILROOM_RECIPIENTS_OF_A_MAIL", "recipients", 100)

    @property
    def recipients_of_mailbox_a_day(self) -> int:
        """How many recipients a mailbox may send to from here in a UTC day."""
        return self._count("MAILROOM_RECIPIENTS_OF_MAILBOX_A_DAY", "recipients", 2_000)

    @property
    def recipients_of_tenant_a_day(self) -> int:
        """How many recipients all of a tenant's mailboxes may send to in a UTC day."""
        return self._count("MAILROOM_RECIPIENTS_OF_TENANT_A_DAY", "recipients", 20_000)

    @property
    def sends_of_mailbox_a_minute(self) -> int:
        """How many mails a mailbox may send from here in a UTC minute."""
        return self._count("MAILROOM_SENDS_OF_MAILBOX_A_MINUTE", "mails", 30)

    @property
    def stage(self) -> str:
        """Which of an account's deployments this is."""
        return self._text("MAILROOM_STAGE")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins whose pages may call the API from a browser."""
        parts = self._text("MAILROOM_ALLOWED_ORIGINS").split(",")
        return tuple(part.strip() for part in parts if part.strip())

    @property
    def bucket_origin(self) -> str:
        """The origin that links to the bucket have, unless it is on this machine."""
        return self._required("MAILROOM_BUCKET_ORIGIN")

    @property
    def jwt_issuer(self) -> str:
        """The issuer of the callers' tokens."""
        return self._required("MAILROOM_JWT_ISSUER")

    @property
    def jwt_audience(self) -> str:
        """The audience of the callers' tokens."""
        return self._required("MAILROOM_JWT_AUDIENCE")

    @property
    def page_client_id(self) -> str:
        """As whom the page for people asks the issuer for a token; empty: no page is served."""
        return self._text("MAILROOM_PAGE_CLIENT_ID")

    @property
    def page_note(self) -> str:
        """What people who connect a mailbox on the page should know first; may be empty."""
        return self._text("MAILROOM_PAGE_NOTE")

    @property
    def page_scope(self) -> str:
        """What the page asks the issuer for."""
        return self._text("MAILROOM_PAGE_SCOPE") or "openid"

    @property
    def page_token(self) -> str:
        """Which of the issuer's tokens the page calls the API with."""
        return self._text("MAILROOM_PAGE_TOKEN") or "access_token"

    @property
    def page_token_origin(self) -> str:
        """Where the issuer gives tokens out, if that is another origin than its own."""
        return self._text("MAILROOM_PAGE_TOKEN_ORIGIN")

    @property
    def tenant_claim(self) -> str:
        """Claim of the token that names the tenant."""
        return self._text("MAILROOM_TENANT_CLAIM") or "tenant_id"

    @property
    def roles_claim(self) -> str:
        """Claim of the token that lists the roles."""
        return self._text("MAILROOM_ROLES_CLAIM") or "roles"

    def _text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def _required(self, name: str) -> str:
        value = self._text(name)
        if not value:
            raise SettingError(name, "is not set")
        return value

    def _count(self, name: str, of: str, default: int) -> int:
        text = self._text(name) or str(default)
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise SettingError(name, f"must be a whole number of {of}, 1 or more")
        return int(text)

    def _flag(self, name: str) -> bool:
        text = self._text(name).lower() or "false"
        if text not in _TRUE:
            raise SettingError(name, "must be true or false")
        return _TRUE[text]


@functools.cache
def settings() -> Settings:
    """Return the settings of this process, read on first use."""
    return Settings(os.environ)

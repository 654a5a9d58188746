"""What one local stack is made of, in which order it starts and ends, and with which settings.

`poe up` and the end-to-end tests run this same class, so that what the tests prove holds for what
a newcomer starts.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local import bundle, deploy, venvs
from infra.local.clients import client
from infra.local.issuer import Issuer
from infra.local.issuer_requests import CLIENT_ID
from infra.local.issuer_tokens import AUDIENCE, mint
from infra.local.ministack import Ministack
from infra.local.paths import REPOSITORY, Paths, read_json, write_whole

ORIGINS: Final = tuple(
    f"http://{host}:{port}"
    for host in ("localhost", "127.0.0.1")
    for port in (3000, 4200, 5173, 8000, 8080)
)
"""Where front ends under development usually run; the API's /docs is of its own origin anyway."""

MAIL_PORTS: Final = (1025, 1110, 1143, 1465, 1587, 1993, 2525, 3025, 3143, 3465, 3993, 8465)
"""Ports that mail bridges and test servers on a developer's machine use (Proton Mail Bridge,
GreenMail, Mailpit), allowed here besides the standard ones."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MailAccess:
    """What the functions must be told to reach mail servers of this machine.

    `ports` are allowed besides the standard ones; `authority` is a PEM file they trust further.
    """

    ports: Sequence[int] = ()
    authority: Path | None = None


class LocalStack:
    """The emulator with Mailroom deployed on it, and the token issuer. Mail servers come apart."""

    def __init__(
        self,
        paths: Paths,
        *,
        mail: MailAccess | None = None,
        more: dict[str, str] | None = None,
        template: Path = REPOSITORY / "template.yaml",
        source: Path = REPOSITORY,
        parameters: dict[str, str] | None = None,
    ) -> None:
        self.paths = paths
        self.mail = mail or MailAccess()
        self.more = more or {}
        """Parameters besides the usual ones."""
        self.outputs: dict[str, str] = {}
        self._template = template
        self._source = source
        self._parameters = parameters
        self.issuer = Issuer(paths)
        self._emulator = Ministack(paths)

    @property
    def endpoint(self) -> str:
        """Address of the emulator: the endpoint of every AWS client."""
        return self._emulator.endpoint

    @property
    def api_url(self) -> str:
        """Base address of the HTTP API, without a slash at its end."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['ApiId']}"

    @property
    def page_url(self) -> str:
        """Where the page is: Settings, Mailboxes."""
        return f"{self.api_url}/app"

    @property
    def issuer_url(self) -> str:
        """The issuer of the tokens that the API accepts."""
        return self.issuer.url

    def start(self, report: Report = lambda _line: None) -> None:
        """Start everything that does not run, deploy, and return when the API answers.

        Takes up the state of the last run. `report` gets a line for each step.
        Raises what its parts raise; what did start keeps running until `stop`.
        """
        self.paths.create()
        report("Preparing the environments of the emulator and of the functions")
        venvs.ministack_python(self.paths)
        venvs.functions_python(self.paths)
        report("Starting the token issuer and ministack, the emulator of AWS")
        self.issuer.stop()
        self.issuer.start()
        if not self._emulator.alive():
            self._emulator.start()
        report("Deploying template.yaml")
        self.outputs = deploy.deploy(
            self.endpoint,
            template=self._template,
            parameters=self._parameters or self.parameters(),
            bundle=bundle.build(self._source),
        )
        self.issuer.page_url = self.page_url
        # Deployed again after a kill, the API would have another address.
        self._emulator.save()

    def stop(self) -> None:
        """End everything and wait until the state is saved."""
        self._emulator.stop()
        self.issuer.stop()

    def kill9(self) -> None:
        """Kill the emulator and its functions as a power cut would. `start` recovers."""
        self._emulator.kill()

    def alive(self) -> bool:
        """Whether the emulator runs."""
        return self._emulator.alive()

    def token(self, tenant: str, user: str, role: str | None = None) -> str:
        """Return a token that the API accepts."""
        return mint(self.paths, tenant=tenant, user=user, roles=[role] if role else [])

    def client(self, name: Any) -> Any:
        """Return a boto3 client of service `name` for this stack."""
        return client(name, self.endpoint)

    def parameters(self) -> dict[str, str]:
        """The template's parameters on one machine."""
        return {
            "Stage": "local",
            "JwtIssuer": self.issuer.url,
            "JwtAudience": AUDIENCE,
            # The emulator's own, which is the page's: providers send a browser back to it, and it
            # uploads to the bucket.
            "AllowedOrigins": ",".join((*ORIGINS, self.endpoint)),
            "PageClientId": CLIENT_ID,
            "PublicUrl": f"{self.endpoint}/_aws/execute-api/{{api_id}}",
            # Mail servers of this machine are what one tries first; on AWS they are refused.
            "AllowPrivateHosts": "true",
            "AllowUntrustedCertificates": "true",
            "AllowPlaintext": "true",
            "AllowAdminOpenings": "true",
            "ExtraCaFile": str(self.mail.authority or ""),
            "ExtraMailPorts": ",".join(
                str(port) for port in sorted({*MAIL_PORTS, *self.mail.ports})
            ),
            # The shortest that the schedule knows: nobody wants to wait five minutes to see it.
            "SyncMinutes": "1",
            # Whoever kills the stack waits this long at most for an import to go on.
            "ChunkSeconds": "60",
            # Two cores, not a region: more workers at once only wait for each other.
            "SyncMaximumConcurrency": "2",
            "BackfillMaximumConcurrency": "4",
            "OutboundMaximumConcurrency": "4",
            "DeletionProtection": "false",
            "LogRetentionDays": "1",
            **self.more,
        }

    def describe(self, more: dict[str, Any]) -> None:
        """Write `stack.json`: where everything is, for people and for programs."""
        content = {
            "page": self.page_url,
            "api_url": self.api_url,
            "issuer": self.issuer_url,
            "aws_endpoint": self.endpoint,
            "table": self.outputs.get("TableName"),
            "bucket": self.outputs.get("BucketName"),
            **more,
        }
        # It names the demo's password: readable by its owner only, like the folder it is in.
        write_whole(self.paths.description, json.dumps(content, indent=2) + "\n", private=True)


def description(paths: Paths) -> dict[str, Any]:
    """What `stack.json` says; empty when no stack runs."""
    return read_json(paths.description)

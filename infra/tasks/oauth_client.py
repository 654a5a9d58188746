"""`poe oauth-client`: store this product's registration at a provider, its secret never in argv.

Arguments of a command are seen by everybody on the machine and stay in the shell's history, so the
secret is asked for, or read from standard input. See infra/oauth-clients.md.
"""

import argparse
import getpass
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

from infra.local import clients
from infra.local.paths import Paths
from infra.local.stack import description
from shared.aws.oauth_clients import client_secret_name, read_client, written_client
from shared.domain.errors import ConfigurationError
from shared.domain.ids import TenantId
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

PROVIDERS = ("gmail", "outlook")
TOPIC = re.compile(r"projects/[a-z][a-z0-9:.-]*/topics/[A-Za-z][A-Za-z0-9._~+%-]*")


def main(arguments: Sequence[str] | None = None) -> int:
    """Store a client; 1 when what was given is none."""
    parser = argparse.ArgumentParser(
        prog="poe oauth-client", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--stage", required=True, help="the template's Stage: dev, prod, local")
    parser.add_argument("--provider", required=True, choices=PROVIDERS)
    parser.add_argument("--client-id", required=True, help="as the provider's console shows it")
    parser.add_argument("--tenant", help="a tenant's own client; without it the operator's")
    parser.add_argument("--directory", default="", help="outlook: only this directory's accounts")
    parser.add_argument("--push-topic", default="", help="gmail: projects/…/topics/… to publish to")
    parser.add_argument("--endpoint-url", help="another Secrets Manager: that of the local stack")
    given = parser.parse_args(arguments)
    secret = _secret()
    provider = Provider(given.provider)
    tenant_id = TenantId(given.tenant) if given.tenant else None
    name = client_secret_name(f"mailroom-{given.stage}", provider, tenant_id)
    directory, topic = given.directory.strip(), given.push_topic.strip()
    text = written_client(OAuthClient(given.client_id.strip(), secret, directory, topic))
    try:
        read_client(text.reveal())
    except ConfigurationError as error:
        print(f"Nothing was stored: {error.cause}.", file=sys.stderr)
        return 1
    if given.directory and provider is not Provider.OUTLOOK:
        print("Nothing was stored: only outlook has directories.", file=sys.stderr)
        return 1
    if topic and (provider is not Provider.GMAIL or not TOPIC.fullmatch(topic)):
        print(
            "Nothing was stored: a topic is Gmail's, as projects/my-project/topics/mailroom.",
            file=sys.stderr,
        )
        return 1
    endpoint = given.endpoint_url
    if given.stage == "local" and not endpoint:
        # Never AWS: a stage of that name is the stack on this machine.
        endpoint = description(Paths.of()).get("aws_endpoint")
        if not endpoint:
            print("Nothing was stored: no local stack runs; `uv run poe up`.", file=sys.stderr)
            return 1
    try:
        store_secret(_secrets_manager(endpoint), name, text)
    except (NoRegionError, NoCredentialsError) as error:
        print(f"Nothing was stored: {error} Choose a profile with AWS_PROFILE.", file=sys.stderr)
        return 1
    print(f"Stored as {name}. Functions use it within five minutes.")
    return 0


def _secret() -> Secret:
    if sys.stdin.isatty():
        return Secret(getpass.getpass("Client secret: ").strip())
    return Secret(sys.stdin.readline().strip())


def _secrets_manager(endpoint: str | None) -> "SecretsManagerClient":
    if endpoint and urlsplit(endpoint).hostname in {"127.0.0.1", "::1", "localhost"}:
        clients.forget_host_settings()
        return clients.client("secretsmanager", endpoint)
    return boto3.client("secretsmanager", endpoint_url=endpoint)


def store_secret(secrets_manager: "SecretsManagerClient", name: str, text: Secret) -> None:
    """Create a secret, or give it a new value."""
    try:
        secrets_manager.put_secret_value(SecretId=name, SecretString=text.reveal())
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise
        secrets_manager.create_secret(Name=name, SecretString=text.reveal())


if __name__ == "__main__":
    sys.exit(main())

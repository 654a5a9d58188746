"""How this machine's code talks to the emulator: its address, its false credentials, nothing else.

A developer's own AWS profile, region, endpoint or proxy must never decide where a local deployment
goes, so the variables that could are taken out of the process before the first client is made.
"""

import os
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2.client import ApiGatewayV2Client
    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient

REGION = "us-east-1"
FALSE_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What ministack and everything it starts runs with."""


def forget_host_settings() -> None:
    """Take the host's AWS settings out of this process, and loopback out of its proxy's reach.

    Call first in each command. The proxy itself stays: installers may need it.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


@overload
def client(name: Literal["apigatewayv2"], endpoint: str) -> "ApiGatewayV2Client": ...
@overload
def client(name: Literal["cloudformation"], endpoint: str) -> "CloudFormationClient": ...
@overload
def client(name: Literal["dynamodb"], endpoint: str) -> "DynamoDBClient": ...
@overload
def client(name: Literal["lambda"], endpoint: str) -> "LambdaClient": ...
@overload
def client(name: Literal["s3"], endpoint: str) -> "S3Client": ...
@overload
def client(name: Literal["secretsmanager"], endpoint: str) -> "SecretsManagerClient": ...
@overload
def client(name: Literal["sqs"], endpoint: str) -> "SQSClient": ...
def client(name: Any, endpoint: str) -> Any:
    """Return a boto3 client for service `name` of the emulator at `endpoint`."""
    return boto3.session.Session().client(
        name,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=FALSE_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=FALSE_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            # By path: no name but 127.0.0.1 resolves here everywhere.
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 3, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
        ),
    )

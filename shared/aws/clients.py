"""How AWS clients are made: each once, on first use, so that a function pays for those it needs.

botocore alone, without boto3: its resources and transfer manager cost every cold start and are not
used. The endpoint of a stack on one machine comes from `AWS_ENDPOINT_URL`, which botocore reads.
"""

import functools
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient


class Clients:
    """The clients of a process, made by one session.

    A session of one's own for each would read the same descriptions of regions and endpoints again.
    """

    def __init__(self, *, attempts: int = 5) -> None:
        """`attempts`: how often a request that was throttled or lost is sent in all.

        The table says so for itself.
        """
        self._session = botocore.session.get_session()
        # Creating a client is not thread-safe, and the first to need one may be a worker thread.
        self._creating = threading.RLock()
        self._config = Config(
            connect_timeout=3,
            read_timeout=20,
            max_pool_connections=50,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # Signature 2 cannot be used in newer regions, and its links cannot be limited as well.
            signature_version="v4",
        )

    def create(self, service: str, config: Config) -> Any:
        """Make a client of `service`."""
        with self._creating:
            return self._session.create_client(service, config=config)

    @cached_property
    def s3(self) -> "S3Client":
        """For bodies and attachments."""
        config = Config(
            signature_version="s3v4",
            # Else links name the bucket without its region: refused in newer regions, in others
            # redirected for the first day, which a browser does not follow with an upload.
            s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
        )
        return cast("S3Client", self.create("s3", self._config.merge(config)))

    @cached_property
    def sqs(self) -> "SQSClient":
        """For the three queues."""
        return cast("SQSClient", self.create("sqs", self._config))

    @cached_property
    def events(self) -> Any:
        """For what others are told."""
        return self.create("events", self._config)

    @cached_property
    def functions(self) -> "LambdaClient":
        """For the scheduler, that asks further invocations of itself."""
        return cast("LambdaClient", self.create("lambda", self._config))

    @cached_property
    def secrets_manager(self) -> "SecretsManagerClient":
        """For grants."""
        return cast("SecretsManagerClient", self.create("secretsmanager", self._config))

    @cached_property
    def kms(self) -> Any:
        """For the keys grants are sealed with."""
        return self.create("kms", self._config)


@functools.cache
def clients_of_process() -> Clients:
    """Return the clients all stores of this process share."""
    return Clients()

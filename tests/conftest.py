"""What holds for every test: no network beyond this machine, no AWS account, printed seeds."""

import ipaddress
import os
import sys

from hypothesis import settings

pytest_plugins = (
    "tests.mail_servers",
    "tests.faults.summary",
    "tests.workers",
    "tests.browser.page",
)

# Nothing may pick up an account, a profile or a region from the person who runs the tests.
for name in [name for name in os.environ if name.startswith(("AWS_", "MAILROOM_"))]:
    if name != "AWS_CA_BUNDLE":
        del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
    "POWERTOOLS_SERVICE_NAME": "mailroom",
}

# A deadline per example is a timed test; the blob makes a failure repeatable by hand.
settings.register_profile("mailroom", deadline=None, print_blob=True)
settings.load_profile("mailroom")


def _stay_on_this_machine(event: str, arguments: tuple) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = arguments[1][0]
    try:
        inside = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        inside = host in ("", "localhost")
    if not inside:
        message = f"a test tried to reach {host}: only this machine's loopback is allowed"
        raise RuntimeError(message)


sys.addaudithook(_stay_on_this_machine)

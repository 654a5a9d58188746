"""What the template tells the page is what the code links to, and the page may touch nothing."""

import pytest

from infra.lint_access import allowed
from infra.lint_rules import statement_list
from shared.aws.clients import Clients
from tests.infra.template_text import translated

BUCKET = "mailroom-dev-1-eu"


def variables():
    resource = translated()["Resources"]["ServePageFunction"]
    return resource["Properties"]["Environment"]["Variables"]


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-east-1", "amazonaws.com"),
        ("eu-central-1", "amazonaws.com"),
        # It is not to be reached without its name.
        ("eu-south-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
    ],
)
def test_links_to_the_bucket_are_of_the_origin_that_the_page_may_ask(monkeypatch, region, suffix):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    link = Clients().s3.generate_presigned_url(
        "put_object", Params={"Bucket": BUCKET, "Key": "sending-uploads/x"}
    )
    origin = variables()["MAILROOM_BUCKET_ORIGIN"]["Fn::Sub"]
    for name, value in {"Bucket": BUCKET, "AWS::Region": region, "AWS::URLSuffix": suffix}.items():
        origin = origin.replace(f"${{{name}}}", value)
    assert link.startswith(f"{origin}/sending-uploads/x?")


def test_a_stack_on_one_machine_is_asked_under_its_own_address(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    link = Clients().s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "bodies/x"}
    )
    assert link.startswith(f"http://127.0.0.1:4566/{BUCKET}/bodies/x?")


def test_the_page_s_function_may_touch_nothing_but_its_logs():
    actions = {
        action
        for role, statement in allowed(translated())
        if role == "ServePageRole"
        for action in statement_list(statement["Action"])
    }
    assert {action.partition(":")[0] for action in actions} == {"logs", "xray"}
    assert not [name for name in variables() if name.endswith(("_URL", "_PREFIX", "_BUCKET"))
                if name != "MAILROOM_MICROSOFT_LOGIN_URL"]  # fmt: skip

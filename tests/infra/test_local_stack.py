"""The local stack by itself, on a tiny template: deploys, guards, keeps what it was given."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from infra.local import processes
from infra.local.issuer_tokens import AUDIENCE
from infra.local.paths import Paths, read_json
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack

TINY = Path(__file__).parent / "tiny_stack"
ORIGIN = "http://localhost:3000"


class TinyStack(LocalStack):
    def __init__(self, paths: Paths, **more: str) -> None:
        super().__init__(paths, template=TINY / "template.yaml", source=TINY)
        self.more = more

    def parameters(self):
        return {
            "JwtIssuer": self.issuer_url,
            "JwtAudience": AUDIENCE,
            "AllowedOrigins": f"{ORIGIN},http://127.0.0.1:5173",
        } | self.more

    def save(self):
        """On a busy machine the next save of its own is a while off."""
        self._emulator.save()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    made = TinyStack(Paths.of(tmp_path_factory.mktemp("stack")))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def call(stack, path, *, token=None, method="GET", **headers):
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(stack.api_url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read() or b"null")


def until(question, *, seconds=40.0):
    """The answer once it is truthy; the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def stored(stack):
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.outputs["TableName"])
    )
    return {item["pk"]["S"] for page in pages for item in page["Items"]}


def put(stack, key):
    stack.client("dynamodb").put_item(TableName=stack.outputs["TableName"], Item={"pk": {"S": key}})


def saved(stack):
    """What the valid save holds of the tables, as text; nothing where the next one takes its place."""
    with contextlib.suppress(FileNotFoundError):
        return (stack.paths.state / "current" / "dynamodb.json").read_text()
    return ""


def test_a_public_route_answers_without_a_token(stack):
    status, _headers, body = call(stack, "/v1/health")
    assert (status, body["greeting"]) == (200, "hello")


@pytest.mark.parametrize("token", [None, "not.a.token"])
def test_a_guarded_route_refuses_a_caller_without_a_good_token(stack, token):
    assert call(stack, "/v1/me/name", token=token)[0] == 401


def test_a_token_reaches_the_function_as_claims(stack):
    status, _headers, body = call(stack, "/v1/me/name", token=stack.token("t1", "u1", "admin"))
    assert status == 200
    assert body["claims"]["tenant_id"] == "t1"
    assert body["claims"]["sub"] == "u1"
    assert body["claims"]["roles"] == "[admin]"


def test_an_answer_may_have_no_body(stack):
    request = urllib.request.Request(
        f"{stack.api_url}/v1/me/nothing",
        headers={"Authorization": f"Bearer {stack.token('t1', 'u1')}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert (answer.status, answer.read()) == (204, b"")


def test_a_token_of_another_stack_is_refused(stack, tmp_path):
    other = Paths.of(tmp_path)
    other.create()
    other.ports.write_text(stack.paths.ports.read_text())
    token = TinyStack(other).token("t1", "u1")
    assert call(stack, "/v1/me/name", token=token)[0] == 401


def test_functions_see_their_locked_packages_and_nothing_of_the_emulator_or_the_host(stack):
    body = call(stack, "/v1/health")[2]
    assert not body["sees_emulator"]
    assert body["home"].startswith(str(stack.paths.root))


def test_what_the_emulator_drops_is_set_again(stack):
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    _status, headers, _body = call(stack, "/v1/me/name", method="OPTIONS", **preflight)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    ttl = stack.client("dynamodb").describe_time_to_live(TableName=stack.outputs["TableName"])
    assert ttl["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    name = stack.outputs["FunctionName"]
    concurrency = stack.client("lambda").get_function_concurrency(FunctionName=name)
    assert concurrency["ReservedConcurrentExecutions"] == 5


def test_what_was_written_survives_kill_9(stack):
    address = stack.api_url
    put(stack, "before the kill")
    assert until(lambda: "before the kill" in saved(stack))
    stack.kill9()
    stack.start()
    assert "before the kill" in stored(stack)
    assert stack.api_url == address
    assert call(stack, "/v1/me/name", token=stack.token("t1", "u1"))[0] == 200


def test_a_kill_amid_work_loses_no_message_of_the_queue(stack):
    wanted = {f"message {number}" for number in range(200)}
    sqs, queue = stack.client("sqs"), stack.outputs["QueueUrl"]
    for number in range(0, 200, 10):
        entries = [
            {"Id": str(n), "MessageBody": f"message {n}"} for n in range(number, number + 10)
        ]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    stack.save()  # while the worker is at it
    stack.kill9()
    stack.start()
    until(lambda: wanted <= stored(stack))
    assert wanted <= stored(stack)


def test_a_stream_is_delivered_in_order_from_where_a_function_stopped_also_after_a_kill(stack):
    for name in ("told 1", "not told", "told 2", "told 3 kills", "told 4 waits", "told 5"):
        put(stack, name)
    assert until(lambda: "heard told 2" in stored(stack))
    stack.save()
    stack.kill9()
    stack.start()
    assert not {"heard told 3 kills", "heard told 4 waits", "heard told 5"} & stored(stack)
    put(stack, "go on")
    told = {f"heard told {one}" for one in ("1", "2", "3 kills", "4 waits", "5")}
    assert until(lambda: told <= stored(stack))
    assert {name for name in stored(stack) if name.startswith("heard")} == told


def test_a_clean_stop_keeps_the_last_write_and_leaves_no_process(stack):
    put(stack, "just before the stop")
    stack.stop()
    assert not processes.emulators(stack.paths)
    assert not processes.workers(stack.paths)
    assert not list(stack.paths.temporary.glob("*"))
    stack.start()
    assert "just before the stop" in stored(stack)


def test_a_second_deployment_changes_in_place_and_keeps_the_data(stack):
    put(stack, "older than the change")
    ports = read_json(stack.paths.ports)
    stack.more = {"Greeting": "good morning"}
    stack.start()
    assert call(stack, "/v1/health")[2]["greeting"] == "good morning"
    assert "older than the change" in stored(stack)
    assert read_json(stack.paths.ports) == ports


def test_a_start_ends_what_a_killed_run_left_behind(stack):
    forgotten = TinyStack(stack.paths)
    forgotten.more = stack.more
    # Whoever started it is gone without a word; its emulator runs on.
    with contextlib.suppress(AttributeError):
        stack.issuer.stop()
    try:
        forgotten.start()
        # A process it begins is called as it is itself, for a moment: one that stays is too many.
        assert until(lambda: len(processes.emulators(stack.paths)) == 1)
        assert call(forgotten, "/v1/health")[0] == 200
    finally:
        forgotten.stop()
    stack.start()


def test_a_function_may_do_what_its_role_permits_and_no_more(stack):
    def ask(**event):
        payload = json.dumps(event)
        answer = stack.client("lambda").invoke(
            FunctionName=stack.outputs["StoreFunctionName"], Payload=payload
        )
        return json.load(answer["Payload"])

    assert "errorMessage" not in ask(send="from a batch")
    assert until(lambda: "from a batch" in stored(stack))
    assert "not authorized to perform: dynamodb:Scan" in ask(read=True)["errorMessage"]

"""The contract of `WorkQueues`, the spelling of bodies, and how refused entries are met."""

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from shared.aws.clients import Clients
from shared.aws.queues import (
    SqsWorkQueues,
    UnknownMessageError,
    decode_audit,
    decode_chunk,
    decode_erasure,
    decode_outbound,
    decode_plan,
    decode_request,
    decode_sync,
    encode_audit,
    encode_changes,
    encode_chunk,
    encode_erasure,
    encode_plan,
    encode_send,
    encode_sync,
)
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.run import RunReason
from shared.ports.queues import (
    AuditRequest,
    ChangesRequest,
    ChunkRequest,
    EraseRequest,
    PlanRequest,
    SendRequest,
    SyncRequest,
)
from tests.fakes.queues import RecordingWorkQueues

SYNCS = [
    SyncRequest(f"t{n % 3}", f"M{n}", RunReason.SCHEDULE, "R" if n % 2 else None) for n in range(23)
]
CHUNKS = [ChunkRequest("acme", "M", "B", n) for n in range(12)]
PLAN = PlanRequest("acme", "M", "B")
AUDITS = [
    AuditRequest(f"t{n % 3}", f"M{n}", datetime(2026, 3, 1, 12, n, tzinfo=UTC)) for n in range(12)
]
ERASURE = EraseRequest("acme", "E")
SENDS = [SendRequest(f"t{n % 3}", f"M{n}", f"S{n}") for n in range(12)]
CHANGES = [ChangesRequest(f"t{n % 3}", f"M{n}") for n in range(12)]


class Received:
    """What arrived in a queue of moto's, read back."""

    def __init__(self, clients: Clients) -> None:
        self.sqs = clients.sqs
        self.urls = {
            kind: self.sqs.create_queue(QueueName=kind)["QueueUrl"]
            for kind in ("sync", "plan", "chunk", "erase", "outbound")
        }
        self.queues = SqsWorkQueues(self.urls, clients, lambda _: None)

    def bodies(self, kind: str) -> list:
        found = []
        while got := self.sqs.receive_message(QueueUrl=self.urls[kind], MaxNumberOfMessages=10).get(
            "Messages"
        ):
            found += [message["Body"] for message in got]
        return found

    def requests(self, kind: str) -> list:
        return [decode_request(body) for body in self.bodies(kind)]

    syncs = property(lambda self: self.requests("sync"))
    plans = property(lambda self: self.requests("plan"))
    chunks = property(lambda self: self.requests("chunk"))
    erasures = property(lambda self: [(decode_erasure(one), 0) for one in self.bodies("erase")])
    audits = property(lambda self: self.requests("plan"))
    outbound = property(lambda self: [(decode_outbound(one), 0) for one in self.bodies("outbound")])


@pytest.fixture(scope="module")
def clients() -> Clients:
    return Clients(attempts=1)


@pytest.fixture(params=["memory", "aws"])
def sent(request, clients):
    """The queues under test, and what arrived in them."""
    if request.param == "memory":
        queues = RecordingWorkQueues()
        yield queues, queues
    else:
        with mock_aws():
            received = Received(clients)
            yield received.queues, received


def test_what_is_sent_arrives(sent):
    queues, received = sent
    queues.send_syncs(SYNCS)
    queues.send_plan(PLAN)
    queues.send_chunks(CHUNKS)
    queues.send_erasure(ERASURE)
    assert received.erasures == [(ERASURE, 0)]
    assert sorted(received.syncs, key=SYNCS.index) == SYNCS
    assert received.plans == [PLAN]
    assert sorted(received.chunks, key=CHUNKS.index) == CHUNKS


def test_audits_arrive_where_plans_do(sent):
    queues, received = sent
    queues.send_audits(AUDITS)
    assert sorted(received.audits, key=AUDITS.index) == AUDITS


def test_sends_and_changes_arrive_in_one_queue(sent):
    queues, received = sent
    queues.send_sends(SENDS)
    queues.send_changes(CHANGES)
    if isinstance(received, Received):
        arrived = received.outbound
    else:
        arrived = [*received.sends, *received.changes]
    wanted = [*SENDS, *CHANGES]
    assert sorted((request for request, _ in arrived), key=wanted.index) == wanted


def test_sending_nothing_is_nothing(sent):
    queues, received = sent
    queues.send_syncs([])
    queues.send_chunks([])
    queues.send_audits([])
    assert received.syncs == received.chunks == received.audits == []


def test_a_delay_has_a_limit(sent):
    queues, _ = sent
    for delay in (-1, 901):
        with pytest.raises(ValueError, match=r"\d"):
            queues.send_chunks(CHUNKS, delay_seconds=delay)
        with pytest.raises(ValueError, match=r"\d"):
            queues.send_erasure(ERASURE, delay_seconds=delay)
        with pytest.raises(ValueError, match=r"\d"):
            queues.send_sends(SENDS, delay_seconds=delay)
        with pytest.raises(ValueError, match=r"\d"):
            queues.send_changes(CHANGES, delay_seconds=delay)


# ---- bodies ----


def test_bodies_are_spelled_as_agreed():
    assert json.loads(encode_sync(SYNCS[1])) == {
        "v": 1,
        "kind": "sync",
        "tenant_id": "t1",
        "mailbox_id": "M1",
        "reason": "schedule",
        "run_id": "R",
    }
    assert json.loads(encode_plan(PLAN)) == {
        "v": 1,
        "kind": "plan_backfill",
        "tenant_id": "acme",
        "mailbox_id": "M",
        "backfill_id": "B",
    }
    assert json.loads(encode_audit(AUDITS[1])) == {
        "v": 1,
        "kind": "audit",
        "tenant_id": "t1",
        "mailbox_id": "M1",
        "asked_at": "2026-03-01T12:01:00+00:00",
    }
    assert json.loads(encode_chunk(CHUNKS[3])) == {
        "v": 1,
        "kind": "backfill_chunk",
        "tenant_id": "acme",
        "mailbox_id": "M",
        "backfill_id": "B",
        "chunk": 3,
    }


def test_each_body_is_read_by_its_own_reader_and_by_that_of_dead_letters():
    pairs = [
        (SYNCS[0], encode_sync, decode_sync),
        (PLAN, encode_plan, decode_plan),
        (AUDITS[0], encode_audit, decode_audit),
        (CHUNKS[0], encode_chunk, decode_chunk),
    ]
    for request, encode, decode in pairs:
        body = encode(request)
        assert decode(body) == decode_request(body) == request
        for _, _, other in pairs:
            if other is not decode:
                with pytest.raises(UnknownMessageError, match="kind"):
                    other(body)


def test_a_request_to_erase_is_read_by_its_own_reader_alone():
    body = encode_erasure(ERASURE)
    assert json.loads(body) == {"v": 1, "kind": "erase", "tenant_id": "acme", "erasure_id": "E"}
    assert decode_erasure(body) == ERASURE
    with pytest.raises(UnknownMessageError):
        decode_request(body)
    for changes in ({"v": 2}, {"kind": "sync"}, {"tenant_id": ""}, {"erasure_id": None}):
        with pytest.raises(UnknownMessageError):
            decode_erasure(json.dumps(json.loads(body) | changes))


def test_what_goes_out_is_read_by_its_own_reader_and_by_that_of_dead_letters():
    sent, changed = encode_send(SENDS[1]), encode_changes(CHANGES[1])
    ids = {"tenant_id": "t1", "mailbox_id": "M1"}
    assert json.loads(sent) == {"v": 1, "kind": "send", **ids, "send_id": "S1"}
    assert json.loads(changed) == {"v": 1, "kind": "changes", **ids}
    assert decode_outbound(sent) == decode_request(sent) == SENDS[1]
    assert decode_outbound(changed) == decode_request(changed) == CHANGES[1]
    for body in (sent, changed):
        with pytest.raises(UnknownMessageError):
            decode_sync(body)
        for changes in ({"v": 2}, {"kind": "sync"}, {"tenant_id": ""}, {"mailbox_id": None}):
            with pytest.raises(UnknownMessageError):
                decode_outbound(json.dumps(json.loads(body) | changes))
    with pytest.raises(UnknownMessageError):
        decode_outbound(json.dumps(json.loads(sent) | {"send_id": 7}))


GOOD = json.loads(encode_chunk(CHUNKS[0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": None},
        {"kind": "erase"},
        {"tenant_id": ""},
        {"tenant_id": 5},
        {"mailbox_id": None},
        {"chunk": -1},
        {"chunk": True},
        {"chunk": "1"},
    ],
)
def test_an_unknown_version_or_shape_is_kept_in_the_queue(changes):
    with pytest.raises(UnknownMessageError):
        decode_request(json.dumps(GOOD | changes))


@pytest.mark.parametrize("changes", [{"reason": "because"}, {"reason": None}, {"run_id": 7}])
def test_a_sync_of_unknown_shape_is_kept_in_the_queue(changes):
    with pytest.raises(UnknownMessageError):
        decode_sync(json.dumps(json.loads(encode_sync(SYNCS[0])) | changes))


@pytest.mark.parametrize("asked_at", [None, 5, "", "yesterday", "2026-03-01T12:00:00"])
def test_an_audit_without_an_instant_is_kept_in_the_queue(asked_at):
    with pytest.raises(UnknownMessageError):
        decode_audit(json.dumps(json.loads(encode_audit(AUDITS[0])) | {"asked_at": asked_at}))


@given(st.text() | st.builds(json.dumps, st.recursive(st.none() | st.text(), st.lists)))
def test_no_text_is_read_as_more_than_a_refusal(body):
    with pytest.raises(UnknownMessageError) as caught:
        decode_request(body)
    assert len(str(caught.value)) < 30, "a refusal quotes nothing of the body"


def test_a_body_nested_without_end_is_refused():
    with pytest.raises(UnknownMessageError):
        decode_request("[" * 100_000)


# ---- when the queue is not well ----


@pytest.fixture
def answers():
    clients = Clients(attempts=1)
    waits = []
    with Stubber(clients.sqs) as stub:
        yield stub, SqsWorkQueues({"sync": "https://q"}, clients, waits.append), waits
        stub.assert_no_pending_responses()


def refused(*numbers, fault=False):
    failed = [{"Id": str(n), "SenderFault": fault, "Code": "Busy"} for n in numbers]
    return {"Successful": [], "Failed": failed}


def test_entries_refused_singly_are_sent_again_and_the_others_are_not(answers):
    stub, queues, waits = answers
    stub.add_response("send_message_batch", refused(3, 7), None)
    again = [
        {"Id": str(n), "MessageBody": encode_sync(SYNCS[n]), "MessageGroupId": ANY} for n in (3, 7)
    ]
    stub.add_response("send_message_batch", refused(7), {"QueueUrl": "https://q", "Entries": again})
    stub.add_response(
        "send_message_batch", refused(), {"QueueUrl": "https://q", "Entries": again[1:]}
    )
    queues.send_syncs(SYNCS[:10])
    assert len(waits) == 2


def test_entries_refused_for_ever_are_tried_later(answers):
    stub, queues, _ = answers
    for _ in range(5):
        stub.add_response("send_message_batch", refused(0), None)
    with pytest.raises(RetryLaterError) as caught:
        queues.send_syncs(SYNCS[:1])
    assert caught.value.code is ErrorCode.STORE_THROTTLED


def test_entries_the_queue_cannot_take_are_a_bug(answers):
    stub, queues, _ = answers
    stub.add_response("send_message_batch", refused(0, fault=True), None)
    with pytest.raises(ValueError, match="Busy"):
        queues.send_syncs(SYNCS[:1])


def test_a_queue_out_of_reach_is_tried_later(answers, monkeypatch):
    _, queues, _ = answers

    def unreachable(**_):
        raise EndpointConnectionError(endpoint_url="https://q")

    monkeypatch.setattr(queues.clients.sqs, "send_message_batch", unreachable)
    with pytest.raises(RetryLaterError):
        queues.send_syncs(SYNCS[:1])


def test_tenants_are_told_apart_in_a_queue_without_being_named(answers):
    stub, queues, _ = answers
    groups = []

    def answer(params, **_):
        groups.extend(entry["MessageGroupId"] for entry in params["Entries"])

    queues.clients.sqs.meta.events.register("provide-client-params.sqs.SendMessageBatch", answer)
    stub.add_response("send_message_batch", refused(), None)
    queues.send_syncs(SYNCS[:4])
    assert groups[0] == groups[3]
    assert len(set(groups)) == 3
    assert not {"t0", "t1", "t2"} & set(groups)

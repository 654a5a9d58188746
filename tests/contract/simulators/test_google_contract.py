"""The Google simulator against Google's own: discovery document, Python client, quota table, batch.

That every answer fits its schema is checked by the fixture, in every test of this folder.
"""

import base64
import concurrent.futures
import gzip
import http.client
import json

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload

from infra.simulators.google import GoogleSimulator, Limits, discovery
from infra.simulators.google.quota import UNITS
from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.google_world import (
    ADA,
    BOB,
    FULL,
    MODIFY,
    READONLY,
    World,
    base64url,
    letter,
)

# ---- the validator itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value", "count"),
    [
        ("Message", {"id": "a", "internalDate": "-5", "sizeEstimate": 3}, 0),
        ("Message", {"Id": "a"}, 1),
        ("Message", {"id": 1, "threadId": None}, 2),
        ("Message", {"historyId": 5}, 1),
        ("Message", {"historyId": "-5"}, 1),
        ("Message", {"historyId": str(2**64)}, 1),
        ("Message", {"internalDate": str(2**63)}, 1),
        ("Message", {"sizeEstimate": 2**31}, 1),
        ("Message", {"sizeEstimate": True}, 1),
        ("Message", {"raw": "a*b"}, 1),
        ("Message", {"payload": {"parts": [{"body": {"sizes": 1}}]}}, 1),
        ("Message", {"labelIds": "INBOX"}, 1),
        ("Label", {"type": "mine"}, 1),
        ("Label", [], 1),
    ],
)
def test_the_validator_finds_what_does_not_fit(schema, value, count):
    assert len(discovery.problems(schema, value)) == count


# ---- Google's client --------------------------------------------------------------------------


def arguments(world, name):
    """Arguments with which a method of the API succeeds, by its own name."""
    world.simulator.add_topic("projects/p/topics/t")
    mail = world.mail()
    message = mail.deliver(letter("first"), folders=["INBOX", "STARRED"])
    raw = {"raw": base64url(letter("second", to=BOB))}
    label = {"name": "Work", "color": {"textColor": "#000000", "backgroundColor": "#ffffff"}}
    change = {"addLabelIds": ["IMPORTANT"], "removeLabelIds": ["STARRED"]}
    if name.startswith("labels.") and name not in ("labels.list", "labels.create"):
        mail.create_folder("Old")
        return {"id": "Label_1", **({} if name[7:] in ("get", "delete") else {"body": label})}
    if name.startswith("drafts.") and name not in ("drafts.list", "drafts.create"):
        draft = (
            world.client(world.token()).users().drafts().create(userId="me", body={"message": raw})
        )
        draft = draft.execute()["id"]
        if name == "drafts.send":
            return {"body": {"id": draft}}
        return {"id": draft, **({"body": {"message": raw}} if name == "drafts.update" else {})}
    return {
        "getProfile": {},
        "history.list": {"startHistoryId": mail.history_id()},
        "labels.list": {},
        "labels.create": {"body": label},
        "messages.list": {"q": "letter", "labelIds": ["INBOX"], "maxResults": 5},
        "messages.batchModify": {"body": {"ids": [message], **change}},
        "messages.batchDelete": {"body": {"ids": [message]}},
        "messages.modify": {"id": message, "body": change},
        "messages.send": {"body": raw},
        "messages.insert": {"body": raw},
        "messages.import": {"body": raw, "neverMarkSpam": True},
        "messages.attachments.get": {"messageId": message, "id": attachment(world)},
        "threads.list": {},
        "threads.modify": {"id": message, "body": change},
        "drafts.list": {},
        "drafts.create": {"body": {"message": raw}},
        "settings.sendAs.list": {},
        "watch": {"body": {"topicName": "projects/p/topics/t"}},
        "stop": {},
    }.get(name, {"id": message})


def attachment(world):
    [held] = [m for m in world.mail().messages() if "first" in m.internet_message_id]
    box = world.simulator.mail(ADA)._mailbox
    sealed = box.world.seal([ADA, int(held.id, 16), "", "salt"])
    return f"ANGjdJ{sealed}"


def method_of(client, name):
    place = client.users()
    *path, last = name.split(".")
    for part in path:
        place = getattr(place, part)()
    return getattr(place, "import_" if last == "import" else last)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_googles_client_does_every_method(google, name):
    more = arguments(google, name)
    google.simulator.log.clear()
    client = google.client(google.token(FULL))
    if "id" in more and name == "messages.attachments.get":
        assert "data" in method_of(client, name)(userId="me", **more).execute()
    else:
        method_of(client, name)(userId="me", **more).execute()
    [entry] = google.simulator.log.entries()
    assert entry.route == name
    assert entry.cost == UNITS[name]
    assert entry.user == ADA


def test_every_method_of_the_api_we_have_a_price_for_is_answered(google):
    assert google.simulator.methods == sorted(UNITS)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_a_method_takes_its_own_scopes_and_no_other(google, name):
    method = discovery.methods()[f"gmail.users.{name}"]
    every = {scope for found in discovery.methods().values() for scope in found.scopes}
    path = method.path.replace("{userId}", "me").replace("{messageId}", "f1").replace("{id}", "f1")

    def status(scope):
        token = google.token(scope)
        more = {} if method.http in ("GET", "DELETE") else {"body": {}}
        return google.ask(method.http, f"/{path}", token=token, **more).status

    for scope in sorted(every - set(method.scopes)):
        assert status(scope) == 403, scope
    google.simulator.limits.user_units = 0  # lets through the scope and then refuses
    for scope in method.scopes:
        answer = google.ask(method.http, f"/{path}", token=google.token(scope))
        assert (answer.status, answer.reason) == (403, "rateLimitExceeded")


def test_googles_client_pages_batches_and_uploads(google):
    google.mail().deliver_all(Delivery(letter(n)) for n in range(5))
    client = google.client(google.token(FULL))
    messages = client.users().messages()
    request, found = messages.list(userId="me", maxResults=2), []
    while request is not None:
        answer = request.execute()
        found += [m["id"] for m in answer["messages"]]
        request = messages.list_next(request, answer)
    assert len(set(found)) == 5
    got = {}
    batch = client.new_batch_http_request(
        callback=lambda name, answer, error: got.update({name: answer or error})
    )
    for one in [*found, "1234567890abcdef"]:
        batch.add(messages.get(userId="me", id=one, format="minimal"), request_id=one)
    batch.execute()
    assert [got[one]["id"] for one in found] == found
    assert got["1234567890abcdef"].status_code == 404
    upload = MediaInMemoryUpload(letter(9, to=BOB), "message/rfc822")
    assert messages.send(userId="me", body={}, media_body=upload).execute()["labelIds"] == ["SENT"]
    assert len(google.mail(BOB).messages()) == 1


def test_googles_client_reads_our_errors(google):
    messages = google.client(google.token(READONLY)).users().messages()
    with pytest.raises(HttpError) as raised:
        messages.trash(userId="me", id="1234567890abcdef").execute(num_retries=0)
    assert raised.value.status_code == 403
    assert raised.value.reason == "Request had insufficient authentication scopes."
    assert "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in str(raised.value.error_details)


# ---- quota ------------------------------------------------------------------------------------


def test_three_hundred_messages_a_minute_and_no_more(google):
    made = google.mail().deliver(letter())
    token = google.token()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: google.api("GET", f"messages/{made}", token), range(310)))
    assert sorted(a.status for a in answers) == [200] * 300 + [403] * 10
    refused = next(a for a in answers if a.status == 403)
    assert refused.reason == "rateLimitExceeded"
    assert refused.error["errors"][0]["domain"] == "usageLimits"
    assert "Queries per minute per user" in refused.error["message"]
    assert google.simulator.quota.used(ADA, "123456789012") == 6000
    # Another user is not slowed, and a minute later all is well.
    assert google.api("GET", "profile", google.token(address=BOB)).status == 200
    google.simulator.clock.advance(61)
    assert google.api("GET", f"messages/{made}", token).status == 200


def test_a_projects_clients_share_its_quota(google):
    google.simulator.add_client("same", "s", [])
    google.simulator.add_client("other", "s", [], project="999")
    google.simulator.limits.project_units = 100
    issue = google.simulator.grants.issue_access
    assert google.api("POST", "stop", google.token()).status == 204
    assert google.api("POST", "stop", issue(BOB, "same", [FULL])).status == 204
    refused = google.api("GET", "profile", issue(BOB, "same", [FULL]))
    assert refused.status == 403
    assert "'Queries per minute'" in refused.error["message"]
    assert google.api("GET", "profile", issue(BOB, "other", [FULL])).status == 200


def test_a_refused_call_costs_nothing(google):
    google.simulator.limits.user_units = 30
    token = google.token()
    made = google.mail().deliver(letter())
    assert google.api("GET", f"messages/{made}", token).status == 200
    assert google.api("GET", f"messages/{made}", token).status == 403
    assert google.api("GET", "profile", token).status == 200
    totals = google.control("GET", "/requests").json["totals"]
    assert totals["cost"] == 21


# ---- batch ------------------------------------------------------------------------------------


def part(path, name="", method="GET", body="", **headers):
    lines = ["Content-Type: application/http"]
    lines += [f"Content-ID: <{name}>"] if name else []
    lines += ["", f"{method} {path} HTTP/1.1"]
    lines += [f"{n.replace('_', '-')}: {v}" for n, v in headers.items()]
    return "\r\n".join([*lines, "", body])


def send_batch(world, parts, token, path="/batch/gmail/v1", **headers):
    body = "".join(f"--b\r\n{one}\r\n" for one in parts) + "--b--\r\n"
    answer = world.ask(
        "POST",
        path,
        token=token,
        body=body.encode(),
        headers={"Content-Type": "multipart/mixed; boundary=b", **headers},
    )
    return answer, read_batch(answer) if answer.status == 200 else []


def read_batch(answer):
    content_type = answer.headers["Content-Type"]
    boundary = content_type.partition("boundary=")[2].strip('"')
    found = []
    for piece in answer.body.decode().split(f"--{boundary}")[1:-1]:
        head, _, inner = piece.partition("\r\n\r\n")
        status, _, body = inner.partition("\r\n\r\n")
        name = next((h for h in head.split("\r\n") if h.startswith("Content-ID")), "")
        text = body.strip()
        found.append((name.partition(": ")[2], int(status.split()[1]), json.loads(text) if text else {}))  # fmt: skip
    return found


def test_each_part_has_its_own_status_name_and_price(google):
    made = google.mail().deliver(letter())
    base = "/gmail/v1/users/me"
    google.simulator.log.clear()
    answer, found = send_batch(
        google,
        [
            part(f"{base}/messages/{made}?format=minimal", "one+1"),
            part(f"{base}/messages/1234567890abcdef", "two"),
            part(f"{base}/messages/{made}/modify", "three", "POST", '{"addLabelIds":["STARRED"]}', Content_Type="application/json"),
            part(f"https://gmail.googleapis.com{base}/profile"),
            part("/batch/gmail/v1", "nested", "POST"),
            part(f"{base}/messages/{made}", "forged", Authorization="Bearer wrong"),
            "Content-Type: application/http\r\n\r\nnonsense",
        ],
        google.token(MODIFY),
    )  # fmt: skip
    assert answer.status == 200
    assert [(name, status) for name, status, _ in found] == [
        ("<response-one+1>", 200),
        ("<response-two>", 404),
        ("<response-three>", 200),
        ("", 200),
        ("<response-nested>", 400),
        ("<response-forged>", 401),
        ("", 400),
    ]
    assert found[0][2]["id"] == made
    entries = google.simulator.log.entries()
    outer = next(e for e in entries if e.route == "batch")
    parts = [e for e in entries if e.batch == outer.id]
    assert [e.cost for e in parts] == [20, 20, 5, 1, 0]
    assert outer.cost == 0


def test_parts_are_throttled_one_by_one(google):
    made = google.mail().deliver(letter())
    google.simulator.limits.user_units = 50
    parts = [part(f"/gmail/v1/users/me/messages/{made}", str(n)) for n in range(4)]
    _, found = send_batch(google, parts, google.token())
    assert [status for _, status, _ in found] == [200, 200, 403, 403]


def test_a_batch_has_at_most_a_hundred_calls(google):
    parts = [part("/gmail/v1/users/me/labels", str(n)) for n in range(101)]
    token = google.token()
    assert send_batch(google, parts, token)[0].status == 400
    assert len(send_batch(google, parts[:100], token)[1]) == 100
    assert send_batch(google, [], token)[0].status == 400


def test_a_batch_is_compressed_when_the_client_takes_it(google):
    google.mail().deliver(letter(text="x" * 5000))
    parts = [part("/gmail/v1/users/me/labels", str(n)) for n in range(5)]
    answer, _ = send_batch(google, parts, google.token(), path="/batch")
    body = "".join(f"--b\r\n{one}\r\n" for one in parts) + "--b--\r\n"
    zipped = google.ask(
        "POST",
        "/batch",
        token=google.token(),
        body=body.encode(),
        headers={"Content-Type": "multipart/mixed; boundary=b", "Accept-Encoding": "gzip"},
    )
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert len(zipped.body) < len(answer.body) / 3
    assert gzip.decompress(zipped.body).count(b"HTTP/1.1 200 OK") == 5


def test_one_connection_carries_many_calls(google):
    port = int(google.simulator.url.rpartition(":")[2])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=google.tls(), timeout=20)
    sockets = set()
    for _ in range(3):
        connection.request("GET", "/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {google.token()}"})  # fmt: skip
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) > 0) == (200, True)
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_limits_may_be_given_at_the_start(certificates):
    with GoogleSimulator(limits=Limits(user_units=1)) as simulator:
        assert simulator.url == ""
        world = World(simulator, certificates.authority)
        token = world.token()
        assert [world.api("GET", "profile", token).status for _ in range(2)] == [200, 403]


def test_base64_of_either_alphabet_is_taken(google):
    raw = letter(1, to=BOB, text="\u00ff\u00fe>>>???")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        body = {"raw": encode(raw).decode().rstrip("=")}
        sent = google.api("POST", "messages", google.token(), body=body).json["id"]
        assert google.mail().raw(sent) == raw


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/gmail/v1/users/me/watch", '{"topicName": "\\ud800"}', {}),
        ("/gmail/v1/users/me/watch", "[", {}),
        ("/gmail/v1/users/me/messages/send", '{"raw": "\u00e9"}', {}),
        ("/token", "grant_type=refresh_token", {"Authorization": "Basic \u00e9"}),
        ("/batch", "--b\r\n\r\n\r\n--b--", {"Content-Type": "multipart/mixed; boundary=c"}),
        ("/upload/gmail/v1/users/me/messages/send?uploadType=multipart", "x", {}),
    ],
)
def test_nonsense_is_refused_and_is_no_bug(google, path, body, headers):
    sent = {"Authorization": f"Bearer {google.token()}", **headers}
    assert google.ask("POST", path, body=body.encode(), headers=sent).status in (400, 401)

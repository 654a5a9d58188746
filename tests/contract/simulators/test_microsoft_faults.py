"""Every fault switch of the Microsoft simulator strikes; its limits, its control, its restart."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.simulators.kit.mailbox import Delivery
from infra.simulators.microsoft import MicrosoftSimulator
from tests.contract.simulators.microsoft_client import (
    CALLBACK,
    IMMUTABLE,
    PERSONAL,
    SCOPES,
    WORK,
    Graph,
    Web,
    answered,
    authorize_path,
    click,
    eml,
    graph_for,
    refresh,
    signed_in,
)

INBOX = "/me/mailFolders/inbox/messages"
DELTA = f"{INBOX}/delta"


REFUSALS = [
    ("graph_error", {"status": 418, "code": "teapot", "inner": "short"}, 418, "teapot", None),
    ("throttled", {}, 429, "ApplicationThrottled", "5"),
    ("throttled", {"retry_after": None, "code": "TooManyRequests"}, 429, "TooManyRequests", None),
    ("unauthorized", {}, 401, "InvalidAuthenticationToken", None),
    ("claims_challenge", {}, 401, "InvalidAuthenticationToken", None),
    ("forbidden", {}, 403, "ErrorAccessDenied", None),
    ("mailbox_not_enabled", {}, 404, "MailboxNotEnabledForRESTAPI", None),
    ("resource_not_found", {}, 404, "ResourceNotFound", None),
    ("locked", {}, 423, "ErrorMailboxMoveInProgress", None),
    ("server_error", {}, 500, "InternalServerError", None),
    ("bad_gateway", {}, 502, "UnknownError", None),
    ("unavailable", {}, 503, "ServiceUnavailable", "10"),
    ("mailbox_busy", {"retry_after": 3}, 503, "ErrorMailboxStoreUnavailable", "3"),
    ("gateway_timeout", {}, 504, "UnknownError", None),
]


@pytest.mark.parametrize(("name", "parameters", "status", "code", "retry"), REFUSALS)
def test_graph_refuses_when_told_to_and_then_not(
    simulator, graph, name, parameters, status, code, retry
):
    simulator.faults.arm(name, **parameters)
    reply = graph.ask("GET", "/me/messages")
    assert (reply.status, reply.code, reply.headers.get("retry-after")) == (status, code, retry)
    if name == "claims_challenge":
        assert "claims=" in reply.headers["www-authenticate"]
    assert graph.ask("GET", "/me/messages").status == 200


def test_a_part_of_a_batch_can_be_struck_alone(simulator, graph, mailbox):
    ids = mailbox.deliver_all([Delivery(eml(n)) for n in range(4)])
    simulator.faults.arm("throttled", route=ids[2])
    requests = [
        {"id": str(n), "method": "GET", "url": f"/me/messages/{i}"} for n, i in enumerate(ids)
    ]
    reply = graph.ask("POST", "/$batch", {"requests": requests}).json["responses"]
    assert {one["id"]: one["status"] for one in reply} == {"0": 200, "1": 200, "2": 429, "3": 200}
    simulator.faults.arm("batch_partial", status=503, code="ServiceUnavailable", every=2)
    reply = graph.ask("POST", "/$batch", {"requests": requests}).json["responses"]
    assert {one["id"]: one["status"] for one in reply} == {"0": 503, "1": 200, "2": 503, "3": 200}
    simulator.faults.arm("batch_missing_parts", count=3)
    assert len(graph.ask("POST", "/$batch", {"requests": requests}).json["responses"]) == 1


def test_the_state_of_delta_can_be_gone_in_every_way(simulator, graph, mailbox):
    mailbox.deliver(eml())
    link = graph.get(DELTA)["@odata.deltaLink"]
    simulator.faults.arm("delta_gone")
    reply = graph.ask("GET", link)
    assert (reply.status, reply.code) == (410, "SyncStateNotFound")
    assert reply.headers["location"].endswith("/messages/delta?$deltatoken=")
    simulator.faults.arm(
        "delta_gone", status=400, code="generalException", inner="resyncRequired", location=False
    )
    reply = graph.ask("GET", link)
    assert reply.json["error"]["innerError"]["code"] == "resyncRequired"
    assert "location" not in reply.headers
    simulator.faults.arm("delta_expired")
    assert graph.ask("GET", link).status == 410
    assert graph.ask("GET", link).status == 200


def test_pages_of_delta_can_be_odd(simulator, graph, mailbox):
    ids = mailbox.deliver_all([Delivery(eml(n)) for n in range(3)])
    simulator.faults.arm("delta_empty_page")
    empty = graph.get(DELTA, **IMMUTABLE)
    assert empty["value"] == []
    assert len(graph.get(empty["@odata.nextLink"])["value"]) == 3
    simulator.faults.arm("delta_repeats")
    assert len(graph.get(DELTA)["value"]) == 6
    usual = [one["id"] for one in graph.get(DELTA)["value"]]
    simulator.faults.arm("delta_reordered")
    assert [one["id"] for one in graph.get(DELTA)["value"]] == usual[::-1]
    link = graph.get(DELTA)["@odata.deltaLink"]
    mailbox.delete(ids[0])
    simulator.faults.arm("delta_removed_reason")
    assert graph.get(link)["value"][0]["@removed"] == {"reason": "changed"}
    simulator.faults.arm("foreign_link", host="evil.example")
    assert "://evil.example/" in graph.get(DELTA)["@odata.deltaLink"]
    simulator.faults.arm("no_link")
    assert graph.get(DELTA).keys() == {"@odata.context", "value"}


@pytest.mark.parametrize("ending", ["", "/$value"])
def test_a_message_can_go_between_list_and_get(simulator, graph, mailbox, ending):
    first, second = mailbox.deliver_all([Delivery(eml(n)) for n in range(2)])
    simulator.faults.arm("delete_on_get")
    assert graph.ask("GET", f"/me/messages/{first}{ending}").status == 404
    simulator.faults.arm("move_on_get", folder="deleteditems")
    default = mailbox.default_id(second)
    assert graph.ask("GET", f"/me/messages/{default}{ending}").status == 404
    simulator.faults.arm("move_on_get")
    assert graph.ask("GET", f"/me/messages/{second}{ending}").status == 200
    (held,) = mailbox.messages()
    assert held.folders == (mailbox.folder_id("archive"),)
    simulator.faults.arm("delete_on_get")
    part = {"id": "1", "method": "GET", "url": f"/me/messages/{second}"}
    (answer,) = graph.ask("POST", "/$batch", {"requests": [part]}).json["responses"]
    assert answer["status"] == 404


def test_between_a_draft_and_what_is_sent_much_can_happen(simulator, graph, mailbox):
    drafts, sent = (mailbox.folder_id(name) for name in ("drafts", "sentitems"))

    def draft(number):
        to = [{"emailAddress": {"address": "dan@customer.example"}}]
        mail = {"subject": str(number), "toRecipients": to, "internetMessageId": f"<{number}@o.x>"}
        return graph.ask("POST", "/me/messages", mail, IMMUTABLE).json["id"]

    def places():
        return {one.internet_message_id: one.folders[0] for one in mailbox.messages()}

    simulator.faults.arm("delete_on_send")
    assert graph.ask("POST", f"/me/messages/{draft(1)}/send").status == 404
    late = draft(2)
    simulator.faults.arm("sends_late", seconds=60)
    assert graph.ask("POST", f"/me/messages/{late}/send").status == 202
    assert graph.get(f"/me/messages/{late}")["isDraft"]
    assert graph.ask("POST", f"/me/messages/{late}/send").code == "ErrorInvalidOperation"
    assert (places(), simulator.delivered) == ({"<2@o.x>": drafts}, ())
    simulator.clock.advance(61)
    assert not graph.get(f"/me/messages/{late}")["isDraft"]
    assert (places(), len(simulator.delivered)) == ({"<2@o.x>": sent}, 1)
    simulator.faults.arm("own_message_id")
    other = draft(3)
    graph.ask("POST", f"/me/messages/{other}/send")
    name = graph.get(f"/me/messages/{other}")["internetMessageId"]
    assert name != "<3@o.x>"
    assert name.encode() in simulator.delivered[1].raw


def test_the_token_endpoint_can_be_busy_or_leave_things_out(simulator):
    web = Web(simulator.browser_url)
    token = signed_in(simulator)["refresh_token"]
    simulator.faults.arm("token_busy")
    busy = refresh(web, token)
    assert (busy.status, busy.headers["retry-after"]) == (429, "10")
    simulator.faults.arm("token_busy", status=503, retry_after=None)
    assert refresh(web, token).json["error"] == "temporarily_unavailable"
    for value in (None, "3599", 0, -5, "soon", 1e12):
        simulator.faults.arm("token_expires_in", value=value)
        assert refresh(web, token).json.get("expires_in") == value
    for name in ("refresh_token", "access_token", "id_token"):
        simulator.faults.arm("token_without", field=name)
        assert name not in refresh(web, token).json
    simulator.faults.arm("token_scope")
    assert refresh(web, token).json["scope"] == "openid profile User.Read"
    simulator.faults.arm("token_error", number=99999, suberror="odd", claims="{}", status=500)
    odd = refresh(web, token)
    assert (odd.status, odd.json["error_codes"], odd.json["suberror"]) == (500, [99999], "odd")
    simulator.faults.arm("authorize_error", number=53003)
    back = answered(web.ask("GET", authorize_path()))
    assert (back["error"], back["state"]) == ("interaction_required", "st&<ate>")
    simulator.faults.arm("authorize_error", number=99999)
    back = answered(web.ask("GET", authorize_path()))
    assert (back["error"], back["state"]) == ("access_denied", "st&<ate>")
    assert back["error_description"].startswith("AADSTS99999: ")


def test_any_answer_can_be_slow_cut_garbled_huge_or_elsewhere(simulator, graph, mailbox):
    mailbox.deliver(eml())
    simulator.faults.arm("html")
    html = graph.ask("GET", "/me/messages")
    assert html.headers["content-type"].startswith("text/html")
    simulator.faults.arm("broken_json")
    with pytest.raises(json.JSONDecodeError):
        _ = graph.ask("GET", "/me/messages").json
    simulator.faults.arm("not_an_object")
    assert graph.ask("GET", "/me/messages").json == []
    simulator.faults.arm("empty_body")
    assert graph.ask("GET", "/me/messages").data == b""
    simulator.faults.arm("redirect", location="https://evil.example/")
    assert graph.ask("GET", "/me/messages").headers["location"] == "https://evil.example/"
    simulator.faults.arm("status", status=507, body="full", retry_after=9)
    odd = graph.ask("GET", "/me/messages")
    assert (odd.status, odd.data, odd.headers["retry-after"]) == (507, b"full", "9")
    simulator.faults.arm("huge_body", mebibytes=2)
    assert len(graph.ask("GET", "/me/messages").data) > 2 << 20
    simulator.faults.arm("gzip_bomb", mebibytes=4)
    bomb = graph.ask("GET", "/me/messages")
    assert len(bomb.data) < 1 << 16 < len(gzip.decompress(bomb.data))
    for name in ("cut_body", "cut_after_work", "cut_before_work"):
        simulator.faults.arm(name)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            graph.ask("GET", "/me/messages")
    simulator.faults.arm("slow", seconds=0.01)
    assert graph.ask("GET", "/me/messages").status == 200


def test_every_fault_is_tried_in_this_file(simulator):
    text = Path(__file__).read_text(encoding="utf-8")
    # Those of what goes out are tried in test_microsoft_push.
    requests = [name for name, kind in simulator.faults.kinds.items() if not kind.is_push]
    missing = [name for name in requests if f'"{name}"' not in text]
    assert missing == []


# ---- limits -----------------------------------------------------------------------------------


def test_only_four_requests_of_one_application_at_a_time(simulator, graph, mailbox):
    mailbox.deliver(eml())
    arrived = threading.Barrier(6)
    go = threading.Event()
    kind = simulator.faults.kinds["slow"]

    def wait(_parameters, _call, proceed):
        arrived.wait(10)
        go.wait(10)
        return proceed()

    simulator.faults.kinds = {**simulator.faults.kinds, "slow": type(kind)(wait)}
    simulator.faults.arm("slow", times=5, route="/messages")
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(graph.ask("GET", "/me/messages")))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    arrived.wait(10)
    requests = [{"id": "1", "method": "GET", "url": "/me/mailFolders/inbox"}]
    batch = graph.ask("POST", "/$batch", {"requests": requests}).json["responses"]
    somebody_else = graph_for(simulator, PERSONAL).ask("GET", "/me/mailFolders/inbox")
    go.set()
    for thread in threads:
        thread.join(10)
    assert sorted(one.status for one in replies) == [200, 200, 200, 200, 429]
    late = next(one for one in replies if one.status == 429)
    assert "MailboxConcurrency" in late.json["error"]["message"]
    assert late.headers["retry-after"] == "5"
    assert batch[0]["status"] == 429
    assert somebody_else.status == 200
    assert graph.ask("GET", "/me/messages").status == 200


def test_requests_and_uploads_are_counted_by_window(simulator, graph):
    simulator.limits.requests = 3
    statuses = [graph.ask("GET", "/me/messages").status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    simulator.clock.advance(601)
    assert graph.ask("GET", "/me/messages").status == 200
    simulator.limits.requests = 1000
    simulator.limits.upload_bytes = 500
    draft = {"subject": "x" * 300}
    assert graph.ask("POST", "/me/messages", draft).status == 201
    late = graph.ask("POST", "/me/messages", draft)
    assert (late.status, "IncomingBytes" in late.json["error"]["message"]) == (429, True)


# ---- control ----------------------------------------------------------------------------------


def test_all_of_it_can_be_done_over_http(simulator):
    web = Web(simulator.browser_url)
    state = web.ask("GET", "/_control/").json
    assert WORK in state["users"]
    assert web.ask("POST", "/_control/users", {"address": "new@contoso.example"}).status == 200
    assert web.ask("POST", "/_control/users", {"address": "x@y.example", "odd": 1}).status == 400
    client = {"client_id": "c2", "client_secret": "s2", "redirect_uris": [CALLBACK]}
    assert web.ask("POST", "/_control/clients", client).status == 200
    change = {"secret_expired": True}
    assert web.ask("PATCH", "/_control/clients/c2", change).status == 200
    base = f"/_control/users/{WORK}"
    made = web.ask(
        "POST",
        f"{base}/messages",
        {"raw": eml().decode(), "folders": ["archive"], "received_at": "2026-11-01T10:00:00Z"},
    ).json["ids"][0]
    (held,) = web.ask("GET", f"{base}/messages").json["messages"]
    assert (held["id"], held["received_at"]) == (made, "2026-11-01T10:00:00+00:00")
    assert web.ask("POST", f"{base}/messages/{made}/flags", {"seen": True}).status == 200
    assert web.ask("POST", f"{base}/messages/{made}/move", {"folder": "inbox"}).status == 200
    assert web.ask("POST", f"{base}/messages/{made}/trash").status == 200
    assert web.ask("POST", f"{base}/messages/{made}/delete").status == 200
    assert web.ask("POST", f"{base}/messages/{made}/delete").status == 404
    folder = web.ask("POST", f"{base}/folders", {"name": "Deals"}).json["id"]
    assert web.ask("PATCH", f"{base}/folders/{folder}", {"name": "Sales"}).status == 200
    assert web.ask("GET", f"{base}/folders").json["folders"][folder] == "Sales"
    assert web.ask("DELETE", f"{base}/folders/{folder}").status == 200
    revoked = web.ask("POST", f"{base}/grants/revoke", {"reason": "nonsense"})
    assert revoked.status == 400
    wrong = web.ask("POST", "/_control/faults", {"fault": "nonsense"})
    assert "delta_gone" in wrong.json["error"]
    armed = web.ask("POST", "/_control/faults", {"fault": "throttled", "times": 2, "user": WORK})
    assert armed.json["parameters"]["retry_after"] == 5
    before = web.ask("POST", "/_control/clock", {"advance_seconds": 60}).json["now"]
    assert before > state["now"]


def test_the_log_holds_no_secret(simulator, graph):
    web = Web(simulator.browser_url)
    tokens = signed_in(simulator)
    refresh(web, tokens["refresh_token"])
    graph.get(DELTA + "?$select=id")
    text = web.ask("GET", "/_control/requests").data.decode()
    assert "entra.token" in text
    for secret in (tokens["access_token"], tokens["refresh_token"], "code=", "$select"):
        assert secret not in text


# ---- restart ----------------------------------------------------------------------------------


def test_a_killed_simulator_comes_back_with_mail_tokens_and_links(tmp_path):
    state = tmp_path / "state" / "microsoft.sqlite"
    command = [sys.executable, "-m", "infra.simulators.microsoft", "--port", "0"]
    command += ["--state", str(state), "--redirect-uri", CALLBACK]
    command += ["--certificates", str(tmp_path / "certificates")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    try:
        said = dict(process.stdout.readline().split(maxsplit=1) for _ in range(6))
        url = said["http"].strip()
        client, secret = re.match(r"(\S+) \(secret: (\S+)\)", said["client"]).groups()
        web = Web(url)
        user = "demo@contoso.example"
        code = answered(click(web, authorize_path(client_id=client), account=user))["code"]
        tokens = _tokens(web, client, secret, code=code)
        graph = Graph(url, tokens["access_token"])
        values, last = graph.walk(DELTA)
        assert len(values) == 25
        link = last["@odata.deltaLink"]
        draft = graph.ask("POST", "/me/messages", {"subject": "kept"}, IMMUTABLE).json
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
    with MicrosoftSimulator(state) as again:
        web = Web(again.browser_url)
        graph = Graph(again.browser_url, tokens["access_token"])
        assert graph.get(f"/me/messages/{draft['id']}")["subject"] == "kept"
        assert graph.get(link.replace(url, again.browser_url))["value"] == []
        fresh = _tokens(web, client, secret, refresh_token=tokens["refresh_token"])
        assert fresh["access_token"] != tokens["access_token"]


def _tokens(web, client, secret, **grant):
    kind = "authorization_code" if "code" in grant else "refresh_token"
    values = {"grant_type": kind, "client_id": client, "client_secret": secret, "scope": SCOPES}
    if "code" in grant:
        values |= {"redirect_uri": CALLBACK, "code_verifier": "v" * 64}
    reply = web.form("/common/oauth2/v2.0/token", **values, **grant)
    assert reply.status == 200, json.loads(reply.data)
    return reply.json

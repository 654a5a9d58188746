"""What outlives a process, what control changes over HTTP, and the simulator started alone."""

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.simulators.google import GoogleSimulator
from tests.contract.simulators.google_world import ADA, BOB, CLIENT, FULL, World, ask, letter

ROOT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def started(folder, certificates):
    command = [
        sys.executable, "-m", "infra.simulators.google", "--port", "0",
        "--state", str(folder / "google.sqlite"), "--certificates", str(folder / "certificates"),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(6)]
        yield process, dict(re.split(r"\s+", line.strip(), maxsplit=1) for line in lines)
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


def alone(addresses):
    """Speaks to a simulator of another process."""
    world = World.__new__(World)
    world.root = addresses["http"]
    return world


def test_tokens_and_mail_outlive_kill_nine(tmp_path, certificates):
    with started(tmp_path, certificates) as (process, addresses):
        world = alone(addresses)
        assert addresses["https"].startswith("https://127.0.0.1:")
        user = addresses["user"]
        client_id = addresses["client"].partition(" ")[0]
        tokens = connect_alone(world, client_id, user)
        raw = base64.b64encode(letter()).decode()
        made = world.control("POST", f"/users/{user}/messages", {"raw": raw}).json["ids"][0]
        world.control("POST", "/clock", {"advance_seconds": 100})
        before = world.api("GET", "profile", tokens["access_token"]).json
        os.kill(process.pid, signal.SIGKILL)
    with started(tmp_path, certificates) as (_, addresses):
        world = alone(addresses)
        assert world.api("GET", "profile", tokens["access_token"]).json == before
        assert world.api("GET", f"messages/{made}", tokens["access_token"]).status == 200
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": client_id,
            "client_secret": "demo",
        }
        assert world.ask("POST", "/token", form=form).status == 200
        assert world.control("GET", "/").json["clock_offset_seconds"] == 100
        assert len(world.control("GET", f"/users/{user}/messages").json["messages"]) == 2


def connect_alone(world, client_id, user):
    from tests.contract.simulators.google_world import Browser

    callback = "http://127.0.0.1:8080/callback"
    browser = Browser(world.root)
    page = browser.open(
        client_id=client_id, redirect_uri=callback, response_type="code",
        scope=f"openid {FULL}", access_type="offline",
    )  # fmt: skip
    code = browser.arrived(browser.send(page, account=user, action="allow"))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "client_secret": "demo",
        "redirect_uri": callback,
    }
    return world.ask("POST", "/token", form=form).json


def test_the_same_file_opened_again_knows_page_tokens_and_keys(tmp_path, certificates):
    path = tmp_path / "google.sqlite"
    with GoogleSimulator(path) as simulator:
        world = World(simulator, certificates.authority)
        for number in range(3):
            world.mail().deliver(letter(number))
        token = world.token()
        page = world.api("GET", "messages?maxResults=1", token).json["nextPageToken"]
        keys = world.ask("GET", "/oauth2/v3/certs").json
    with GoogleSimulator(path) as simulator:
        world = World(simulator, certificates.authority)
        answer = world.api("GET", f"messages?maxResults=1&pageToken={page}", token)
        assert answer.status == 200
        assert world.ask("GET", "/oauth2/v3/certs").json == keys


def test_control_changes_a_mailbox_as_its_owner_does(google):
    place = f"/users/{ADA}"
    raw = base64.b64encode(letter(1)).decode()
    more = {
        "folders": ["INBOX", "STARRED"],
        "received_at": "2026-01-02T03:04:05+01:00",
        "seen": True,
    }
    body = {"messages": [{"raw": raw, **more}, {"raw": letter(2).decode()}]}
    first, second = google.control("POST", f"{place}/messages", body).json["ids"]
    listed = {m["id"]: m for m in google.control("GET", f"{place}/messages").json["messages"]}
    assert listed[first] == {
        "id": first,
        "folders": ["INBOX", "STARRED"],
        "internet_message_id": "<letter-1@example.org>",
        "received_at": "2026-01-02T02:04:05+00:00",
        "seen": True,
    }
    folder = google.control("POST", f"{place}/folders", {"name": "Work"}).json["id"]
    google.control("PATCH", f"{place}/folders/{folder}", {"name": "Play"})
    google.control("POST", f"{place}/messages/{first}/move", {"folder": "Play"})
    google.control("POST", f"{place}/messages/{first}/flags", {"seen": False, "flagged": False})
    google.control("POST", f"{place}/messages/{second}/trash")
    held = {m.id: m for m in google.mail().messages()}
    assert held[first].folders == (folder,)
    assert not held[first].seen
    assert "TRASH" in held[second].folders
    google.control("POST", f"{place}/messages/{second}/delete")
    google.control("DELETE", f"{place}/folders/{folder}")
    assert [m.folders for m in google.mail().messages()] == [()]
    assert folder not in google.control("GET", f"{place}/folders").json["folders"]


def test_control_makes_users_and_clients(google):
    assert google.control("POST", "/users", {"address": "New@Gmail.example", "name": "N"}).status == 200  # fmt: skip
    assert google.control("GET", "/users").json == {"users": [ADA, BOB, "new@gmail.example"]}
    body = {"client_id": "c", "client_secret": "s", "redirect_uris": ["https://a.example/"]}
    assert google.control("POST", "/clients", body).status == 200
    assert google.simulator.accounts.client("c").redirect_uris == ("https://a.example/",)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/users", {}, 400),
        ("POST", "/users", {"address": "a@b.example", "colour": 1}, 400),
        ("POST", "/clients", {"client_id": "c"}, 400),
        ("PATCH", "/clients/unknown", {}, 404),
        ("PATCH", f"/clients/{CLIENT}", {"colour": 1}, 400),
        ("POST", "/clock", {"advance_seconds": -1}, 400),
        ("POST", "/clock", {}, 400),
        ("POST", "/clock", [1], 400),
        ("GET", "/users/nobody@gmail.example/messages", None, 404),
        ("POST", f"/users/{ADA}/messages", {"raw": "A: b", "folders": ["No"]}, 404),
        ("POST", f"/users/{ADA}/messages", {"raw": "A: b", "received_at": "2026-01-01"}, 400),
        ("POST", f"/users/{ADA}/messages/{'a' * 16}/trash", None, 404),
        ("POST", f"/users/{ADA}/messages/xyz/delete", None, 404),
        ("POST", f"/users/{ADA}/folders", {"name": "inbox"}, 400),
        ("DELETE", f"/users/{ADA}/folders/None", None, 404),
        ("POST", f"/users/{ADA}/grants/revoke", {"reason": "boredom"}, 400),
        ("GET", "/nonsense", None, 404),
        ("PUT", "/users", {}, 405),
    ],
)
def test_control_refuses_what_makes_no_sense(google, method, path, body, status):
    assert google.control(method, path, body).status == status


def test_control_is_not_on_the_port_of_servers(google):
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{google.simulator.url}/_control/", context=google.tls())
    with raised.value:
        assert raised.value.code == 404


def test_the_log_holds_no_secret(google):
    found = google.connect()
    google.api("GET", "messages?q=secret-word", found.access)
    google.refresh(found.refresh)
    text = ask("GET", f"{google.root}/_control/requests").body.decode()
    assert "secret-word" not in text
    assert found.access not in text
    assert found.refresh not in text
    google.control("DELETE", "/requests")
    assert google.control("GET", "/requests").json["totals"]["requests"] == 0


def test_what_is_nowhere_is_404_and_a_wrong_verb_too(google):
    for method, path in (("GET", "/"), ("GET", "/gmail/v1/users/me/nothing"), ("POST", "/gmail/v1/users/me/profile")):  # fmt: skip
        assert google.ask(method, path).status == 404

"""Delta and batches: what a client that follows folders meets at Graph, and here."""

from __future__ import annotations

import base64
import datetime as dt
import random

import pytest

from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.microsoft_client import (
    IMMUTABLE,
    eml,
    graph_for,
)

DELTA = "/me/mailFolders/inbox/messages/delta"


def news(graph, link, **headers):
    """Return what a round tells: ids here, ids gone, and the next link."""
    values, last = graph.walk(link, **headers)
    here = [one["id"] for one in values if "@removed" not in one]
    gone = [one["id"] for one in values if "@removed" in one]
    return here, gone, last["@odata.deltaLink"]


def test_a_first_walk_comes_in_pages_and_ends_with_a_delta_link(graph, mailbox):
    mailbox.deliver_all([Delivery(eml(n)) for n in range(5)])
    sizes, page = [], graph.get(f"{DELTA}?$select=subject,isRead", Prefer="odata.maxpagesize=2")
    while True:
        sizes.append(len(page["value"]))
        assert ("@odata.nextLink" in page) != ("@odata.deltaLink" in page)
        if "@odata.deltaLink" in page:
            break
        assert "skiptoken" in page["@odata.nextLink"]
        page = graph.get(page["@odata.nextLink"], Prefer="odata.maxpagesize=2")
    assert sizes == [2, 2, 1]
    assert page["@odata.context"].endswith("/v1.0/$metadata#Collection(message)")
    assert "messages/delta?$deltatoken=" in page["@odata.deltaLink"]
    one = page["value"][0]
    assert one.keys() == {"@odata.type", "@odata.etag", "id", "subject", "isRead"}


def test_a_last_page_may_be_empty(graph, mailbox):
    mailbox.deliver_all([Delivery(eml(n)) for n in range(4)])
    first = graph.get(DELTA, Prefer="odata.maxpagesize=4")
    assert len(first["value"]) == 4
    second = graph.get(first["@odata.nextLink"], Prefer="odata.maxpagesize=4")
    assert second["value"] == []
    assert "@odata.deltaLink" in second


def test_a_round_tells_what_came_changed_and_left(graph, mailbox):
    ids = mailbox.deliver_all([Delivery(eml(n)) for n in range(4)])
    here, gone, link = news(graph, DELTA, **IMMUTABLE)
    assert sorted(here) == sorted(ids)
    assert gone == []
    assert news(graph, link, **IMMUTABLE)[:2] == ([], [])
    mailbox.set_flags(ids[0], seen=True)
    mailbox.move(ids[1], "archive")
    mailbox.delete(ids[2])
    fresh = mailbox.deliver(eml(9))
    here, gone, link = news(graph, link, **IMMUTABLE)
    assert sorted(here) == sorted([ids[0], fresh])
    assert sorted(gone) == sorted([ids[1], ids[2]])
    # The same link tells the same again: a round may be repeated.
    archive, _, _ = news(graph, "/me/mailFolders/archive/messages/delta", **IMMUTABLE)
    assert archive == [ids[1]]


def test_links_serve_both_forms_of_id(graph, mailbox):
    name = mailbox.deliver(eml())
    default = mailbox.default_id(name)
    here, _, link = news(graph, DELTA)
    assert here == [default]
    mailbox.move(name, "archive")
    assert news(graph, link)[1] == [default]
    assert news(graph, link, **IMMUTABLE)[1] == [name]


def test_what_leaves_and_comes_back_is_here_and_not_removed(graph, mailbox):
    name = mailbox.deliver(eml())
    _, _, link = news(graph, DELTA, **IMMUTABLE)
    old = mailbox.default_id(name)
    mailbox.move(name, "archive")
    mailbox.move(name, "inbox")
    assert news(graph, link, **IMMUTABLE)[:2] == ([name], [])
    here, gone, _ = news(graph, link)
    assert (here, gone) == ([mailbox.default_id(name)], [old])


def test_nobody_is_told_of_the_end_of_what_they_never_saw(graph, mailbox):
    _, _, link = news(graph, DELTA)
    mailbox.delete(mailbox.deliver(eml()))
    assert news(graph, link)[:2] == ([], [])


def test_changes_during_a_walk_are_told_in_the_next_round(graph, mailbox):
    ids = mailbox.deliver_all([Delivery(eml(n)) for n in range(6)])
    small = {"Prefer": 'odata.maxpagesize=2, IdType="ImmutableId"'}
    page = graph.get(DELTA, **small)
    told = [one["id"] for one in page["value"]]
    mailbox.set_flags(told[0], seen=True)
    mailbox.delete(told[1])
    late = mailbox.deliver(eml(9))
    rest, last = graph.walk(page["@odata.nextLink"], **small)
    assert sorted(told + [one["id"] for one in rest]) == sorted(ids)
    here, gone, _ = news(graph, last["@odata.deltaLink"], **small)
    assert (sorted(here), gone) == (sorted([told[0], late]), [told[1]])


def test_whatever_happens_a_client_that_follows_ends_with_what_the_folder_holds(graph, mailbox):
    seed = 20261121
    print("seed", seed)
    chance = random.Random(seed)
    known, link = {}, DELTA
    held = mailbox.deliver_all([Delivery(eml(n)) for n in range(10)])
    for step in range(60):
        for _ in range(chance.randrange(4)):
            one = chance.choice(held)
            change = chance.randrange(5)
            if change == 0:
                held.append(mailbox.deliver(eml(100 + step)))
            elif change == 1:
                mailbox.set_flags(one, seen=chance.random() < 0.5)
            elif change == 2:
                mailbox.move(one, "archive")
            elif change == 3:
                mailbox.move(one, "inbox")
            elif len(held) > 3:
                mailbox.delete(one)
                held.remove(one)
        size = chance.choice([1, 2, 7])
        page = graph.get(link, Prefer=f'odata.maxpagesize={size}, IdType="ImmutableId"')
        for value in page["value"]:
            if "@removed" in value:
                known.pop(value["id"], None)
            else:
                known[value["id"]] = value["isRead"]
        link = page.get("@odata.nextLink") or page["@odata.deltaLink"]
    for _ in range(2):
        values, last = graph.walk(link, **IMMUTABLE)
        for value in values:
            if "@removed" in value:
                known.pop(value["id"], None)
            else:
                known[value["id"]] = value["isRead"]
        link = last["@odata.deltaLink"]
    inbox = mailbox.folder_id("inbox")
    assert known == {m.id: m.seen for m in mailbox.messages() if m.folders == (inbox,)}


def test_a_filter_takes_a_date_and_tells_of_five_thousand_at_most(graph, mailbox):
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    mailbox.deliver_all(
        Delivery(eml(n), received_at=start + dt.timedelta(minutes=n)) for n in range(5100)
    )
    since = "2026-01-01T00:01:00Z"
    wide = {"Prefer": "odata.maxpagesize=1000"}
    values, last = graph.walk(
        f"{DELTA}?$select=subject&$filter=receivedDateTime+ge+{since}&$orderby=receivedDateTime+desc",
        **wide,
    )
    assert len(values) == 5000
    assert values[0]["subject"] == "Message 5099"
    assert len(graph.walk(f"{DELTA}?$select=id", **wide)[0]) == 5100
    mailbox.deliver(eml(9000), received_at=start)
    fresh = mailbox.deliver(eml(9001))
    here, _, _ = news(graph, last["@odata.deltaLink"], **IMMUTABLE)
    assert here == [fresh]
    few, _ = graph.walk(f"{DELTA}?$filter=receivedDateTime gt 2026-01-04T12:58:00Z")
    assert [one["subject"] for one in few] == ["Message 9001", "Message 5099"]


@pytest.mark.parametrize(
    "query",
    [
        "$filter=isRead eq false",
        "$filter=receivedDateTime le 2026-01-01T00:00:00Z",
        "$search=x",
        "$orderby=subject",
        "changeType=moved",
    ],
)
def test_other_queries_are_not_for_delta(graph, query):
    reply = graph.ask("GET", f"{DELTA}?{query}")
    assert (reply.status, reply.code) == (400, "ErrorInvalidUrlQuery")


def test_one_kind_of_change_can_be_asked_for(graph, mailbox):
    ids = mailbox.deliver_all([Delivery(eml(n)) for n in range(3)])
    links = {
        kind: news(graph, f"{DELTA}?changeType={kind}", **IMMUTABLE)[2]
        for kind in ("created", "updated", "deleted")
    }
    fresh = mailbox.deliver(eml(9))
    mailbox.set_flags(ids[0], seen=True)
    mailbox.delete(ids[1])
    told = {kind: news(graph, link, **IMMUTABLE)[:2] for kind, link in links.items()}
    assert told == {"created": ([fresh], []), "updated": ([ids[0]], []), "deleted": ([], [ids[1]])}


def test_a_token_is_for_its_folder_and_its_select_and_for_nobody_to_make(graph, mailbox):
    mailbox.deliver(eml())
    _, _, link = news(graph, f"{DELTA}?$select=subject")
    token = link.partition("deltatoken=")[2]
    other = f"/me/mailFolders/archive/messages/delta?$deltatoken={token}"
    assert graph.ask("GET", other).status == 400
    assert graph.ask("GET", f"{link}&$select=body").status == 400
    assert graph.ask("GET", f"{link}&$select=subject").status == 200
    for wrong in (token[:-2], token.swapcase(), "latest", "x" * 80):
        assert graph.ask("GET", f"{DELTA}?$deltatoken={wrong}").status == 400
    assert b"subject" not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    whole = graph.ask("GET", "/me/messages/delta")
    assert (whole.status, "Change tracking is not supported" in whole.data.decode()) == (400, True)


def test_an_old_token_is_gone_and_says_where_to_begin_again(simulator, graph, mailbox):
    mailbox.deliver(eml())
    _, _, link = news(graph, DELTA)
    simulator.clock.advance(31 * 86_400)
    graph = graph_for(simulator)
    reply = graph.ask("GET", link)
    assert (reply.status, reply.code) == (410, "SyncStateNotFound")
    here, _, link = news(graph, reply.headers["location"])
    assert len(here) == 1
    mailbox.create_folder("Short")
    _, _, short = news(graph, f"/me/mailFolders/{mailbox.folder_id('Short')}/messages/delta")
    mailbox.delete_folder("Short")
    assert graph.ask("GET", short).status == 404


# ---- batches ----------------------------------------------------------------------------------


def batch(graph, *parts):
    reply = graph.ask("POST", "/$batch", {"requests": list(parts)})
    assert reply.status == 200, reply.data
    return {one["id"]: one for one in reply.json["responses"]}


def part(number, url, method="GET", **more):
    return {"id": str(number), "method": method, "url": url, **more}


def test_a_batch_answers_each_part_by_its_id_in_any_order(graph, mailbox):
    ids = mailbox.deliver_all([Delivery(eml(n)) for n in range(20)])
    requests = [part(n, f"/me/messages/{one}/$value") for n, one in enumerate(ids)]
    orders = set()
    for _ in range(5):
        reply = graph.ask("POST", "/$batch", {"requests": requests}).json["responses"]
        orders.add(tuple(one["id"] for one in reply))
        for one in reply:
            mime = base64.b64decode(one["body"])
            assert f"<m{one['id']}@example.org>".encode() in mime
    assert len(orders) > 1


def test_parts_have_headers_and_failures_of_their_own(simulator, graph, mailbox):
    name = mailbox.deliver(eml())
    found = batch(
        graph,
        part("a", f"/me/messages/{name}?$select=subject", headers=IMMUTABLE),
        part("b", f"me/messages/{name}"),
        part("c", "/me/messages/nonsense"),
        part(
            "d",
            f"/me/messages/{name}",
            "PATCH",
            headers={"Content-Type": "application/json"},
            body={"isRead": True},
        ),
        part("e", "/me/mailFolders", "POST", headers={"Content-Type": "application/json"}, body={}),
        part("f", "/me/mailFolders/inbox", dependsOn=["e"]),
        part("g", "/me/mailFolders/inbox", dependsOn=["a"]),
        part("h", f"/me/messages/{name}/permanentDelete", "POST", dependsOn=["a", "b", "d"]),
    )
    assert {key: one["status"] for key, one in found.items()} == {
        "a": 200,
        "b": 200,
        "c": 400,
        "d": 200,
        "e": 400,
        "f": 424,
        "g": 200,
        "h": 204,
    }
    assert found["a"]["body"]["id"] == name
    assert found["b"]["body"]["id"] != name
    assert "body" not in found["h"]
    assert found["c"]["body"]["error"]["code"] == "ErrorInvalidIdMalformed"
    log = simulator.log.as_json()
    outer = next(one for one in log["requests"] if one["route"] == "batch")
    assert len([one for one in log["requests"] if one["batch"] == outer["id"]]) == 7


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [part(n, "/me") for n in range(21)],
        [part("a", "/me"), part("A", "/me")],
        [{"id": "1", "method": "GET"}],
        [part("1", "/me", "POST", body={"x": 1})],
        [part("1", "/me", dependsOn=["2"])],
        [part("1", "https://graph.microsoft.com/v1.0/me")],
        "no list",
    ],
)
def test_a_batch_that_is_none_is_refused_whole(graph, requests):
    reply = graph.ask("POST", "/$batch", {"requests": requests})
    assert (reply.status, reply.code) == (400, "BadRequest")


def test_every_part_is_throttled_alone(simulator, graph, mailbox):
    mailbox.deliver(eml())
    simulator.limits.requests = 10
    graph = graph_for(simulator)
    found = batch(graph, *(part(n, "/me/messages") for n in range(14)))
    statuses = sorted(one["status"] for one in found.values())
    assert statuses == [200] * 10 + [429] * 4
    late = next(one for one in found.values() if one["status"] == 429)
    assert late["body"]["error"]["code"] == "ApplicationThrottled"
    assert 0 < int(late["headers"]["Retry-After"]) <= 600
    simulator.clock.advance(601)
    assert graph.ask("GET", "/me/messages").status == 200

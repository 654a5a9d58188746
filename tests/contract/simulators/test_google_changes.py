"""Gmail as simulated: history, labels, threads, sending, drafts, scopes, watches."""

import datetime as dt

from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.google_world import (
    ADA,
    BOB,
    FULL,
    METADATA,
    MODIFY,
    READONLY,
    base64url,
    ids,
    letter,
    pages,
)

# ---- changes and history ----------------------------------------------------------------------


def history(api, start, more=""):
    answer = api("GET", f"history?startHistoryId={start}{more}")
    assert answer.status == 200, answer.body
    return answer.json


def test_every_change_is_in_history_once_and_in_order(mail, api):
    start = mail.history_id()
    made = mail.deliver(letter())
    label = mail.create_folder("Work")
    api("POST", f"messages/{made}/modify", {"addLabelIds": [label], "removeLabelIds": ["UNREAD"]})
    api("POST", f"messages/{made}/trash")
    api("DELETE", f"messages/{made}")
    found = history(api, start)
    kinds = [next(k for k in record if k not in ("id", "messages")) for record in found["history"]]
    assert kinds == ["messagesAdded", "labelsRemoved", "labelsAdded", "labelsRemoved", "labelsAdded", "messagesDeleted"]  # fmt: skip
    numbers = [int(record["id"]) for record in found["history"]]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == int(found["historyId"])
    assert all(
        record["messages"] == [{"id": made, "threadId": made}] for record in found["history"]
    )
    assert found["history"][2]["labelsAdded"][0]["labelIds"] == [label]
    assert found["history"][0]["messagesAdded"][0]["message"]["labelIds"] == ["INBOX", "UNREAD"]
    assert history(api, found["historyId"]) == {"historyId": found["historyId"]}


def test_what_changes_nothing_leaves_no_trace(mail, api):
    made = mail.deliver(letter())
    before = mail.history_id()
    api("POST", f"messages/{made}/modify", {"addLabelIds": ["INBOX"], "removeLabelIds": ["SPAM"]})
    assert mail.history_id() == before


def test_history_is_filtered_by_kind_and_by_label(mail, api):
    start = mail.history_id()
    made = mail.deliver(letter(1))
    mail.deliver(letter(2), folders=["SENT"])
    mail.set_flags(made, flagged=True)
    assert len(history(api, start)["history"]) == 3
    assert len(history(api, start, "&historyTypes=messageAdded")["history"]) == 2
    both = "&historyTypes=labelAdded&historyTypes=labelRemoved"
    assert len(history(api, start, both)["history"]) == 1
    assert len(history(api, start, "&labelId=INBOX")["history"]) == 2
    assert "history" not in history(api, start, "&labelId=SPAM")


def test_history_goes_on_page_by_page(mail, api):
    start = mail.history_id()
    mail.deliver_all(Delivery(letter(n)) for n in range(5))
    found = pages(api, f"history?startHistoryId={start}&maxResults=2", "history")
    assert [len(page) for page in found] == [2, 2, 1]


def test_a_history_id_too_old_or_in_the_future_is_404(google, mail, api):
    start = mail.history_id()
    mail.deliver(letter(1))
    middle = mail.history_id()
    assert api("GET", f"history?startHistoryId={int(middle) + 1}").status == 404
    google.simulator.clock.advance(9 * 86_400)
    mail.deliver(letter(2))
    token = google.token()
    old = google.api("GET", f"history?startHistoryId={start}", token)
    assert (old.status, old.reason) == (404, "notFound")
    # Nothing after this one was forgotten.
    assert len(google.api("GET", f"history?startHistoryId={middle}", token).json["history"]) == 1


def test_forgotten_history_is_404_at_once(mail, api):
    start = mail.history_id()
    mail.deliver(letter())
    mail.forget_history()
    assert api("GET", f"history?startHistoryId={start}").status == 404
    assert api("GET", f"history?startHistoryId={mail.history_id()}").status == 200


def test_history_ids_may_be_larger_than_any_signed_number(google):
    google.simulator.add_user("big@gmail.example", history_start=2**63 + 10)
    mail = google.mail("big@gmail.example")
    start = mail.history_id()
    made = mail.deliver(letter())
    token = google.token(address="big@gmail.example")
    found = google.api("GET", f"history?startHistoryId={start}", token).json
    assert int(found["history"][0]["id"]) > 2**63
    message = google.api("GET", f"messages/{made}?format=minimal", token).json
    assert message["historyId"] == found["historyId"]


def test_labels_nobody_may_set_and_labels_nobody_made_are_refused(mail, api):
    made = mail.deliver(letter())
    for label in ("SENT", "DRAFT", "Label_77", "nonsense"):
        assert api("POST", f"messages/{made}/modify", {"addLabelIds": [label]}).status == 400
    bad = api("POST", "messages/batchModify", {"ids": [made], "addLabelIds": ["Label_77"]})
    assert bad.status == 400


def test_many_messages_are_changed_and_deleted_at_once(mail, api):
    made = [mail.deliver(letter(n)) for n in range(3)]
    body = {"ids": [*made, "1234567890abcdef"], "addLabelIds": ["STARRED"]}
    assert api("POST", "messages/batchModify", body).status == 204
    assert len(ids(api("GET", "messages?q=is:starred"))) == 3
    assert api("POST", "messages/batchDelete", {"ids": made[:2]}).status == 204
    assert ids(api("GET", "messages")) == [made[2]]
    assert api("POST", "messages/batchDelete", {"ids": ["a1"] * 1001}).status == 400
    assert api("POST", "messages/batchDelete", {"ids": []}).status == 400


def test_trash_takes_a_message_out_of_the_inbox(mail, api):
    made = mail.deliver(letter())
    assert api("POST", f"messages/{made}/trash").json["labelIds"] == ["TRASH", "UNREAD"]
    assert ids(api("GET", "messages")) == []
    assert api("POST", f"messages/{made}/untrash").json["labelIds"] == ["UNREAD"]


# ---- labels -----------------------------------------------------------------------------------


def test_labels_are_made_renamed_counted_and_deleted(mail, api):
    made = api("POST", "labels", {"name": "Work/Plans", "labelListVisibility": "labelShow"}).json
    assert made == {"id": "Label_1", "name": "Work/Plans", "type": "user", "labelListVisibility": "labelShow"}  # fmt: skip
    first = mail.deliver(letter(1), folders=["Label_1"])
    mail.deliver(letter(2, In_Reply_To="<letter-1@example.org>", subject="Re: Letter 1"), folders=["Label_1"], seen=True)  # fmt: skip
    found = api("GET", "labels/Label_1").json
    counts = [
        found[k] for k in ("messagesTotal", "messagesUnread", "threadsTotal", "threadsUnread")
    ]
    assert counts == [2, 1, 1, 1]
    assert api("PATCH", "labels/Label_1", {"name": "Plans"}).json["name"] == "Plans"
    assert api("PUT", "labels/Label_1", {"name": "Work"}).json["name"] == "Work"
    assert api("DELETE", "labels/Label_1").status == 204
    assert "Label_1" not in api("GET", f"messages/{first}?format=minimal").json["labelIds"]
    assert api("GET", "labels/Label_1").status == 404
    assert api("POST", "labels", {"name": "Next"}).json["id"] == "Label_2"


def test_label_names_are_unique_and_not_the_systems(api):
    api("POST", "labels", {"name": "Work"})
    answer = api("POST", "labels", {"name": "work"})
    assert (answer.status, answer.reason) == (409, "aborted")
    for name in ("", " ", "inbox", "/a", "x" * 300):
        assert api("POST", "labels", {"name": name}).status == 400
    assert api("DELETE", "labels/INBOX").status == 400
    assert api("PATCH", "labels/INBOX", {"name": "x"}).status == 400


# ---- threads ----------------------------------------------------------------------------------


def test_a_reply_joins_its_thread_by_reference_and_subject(mail, api):
    first = mail.deliver(letter(1, subject="Plans"))
    reply = mail.deliver(letter(2, subject="RE: AW: plans", In_Reply_To="<letter-1@example.org>"))
    other_subject = mail.deliver(letter(3, subject="Else", References="<letter-1@example.org>"))
    no_reference = mail.deliver(letter(4, subject="Re: Plans"))
    found = {m["id"]: m["threadId"] for m in api("GET", "messages").json["messages"]}
    assert found[reply] == first
    assert found[other_subject] == other_subject
    assert found[no_reference] == no_reference
    thread = api("GET", f"threads/{first}?format=minimal").json
    assert [m["id"] for m in thread["messages"]] == [first, reply]
    assert first in ids(api("GET", "threads"), "threads")
    assert len(ids(api("GET", "threads"), "threads")) == 3


def test_what_is_done_to_a_thread_is_done_to_each_message(mail, api):
    first = mail.deliver(letter(1))
    mail.deliver(letter(2, subject="Re: Letter 1", In_Reply_To="<letter-1@example.org>"))
    found = api("POST", f"threads/{first}/modify", {"addLabelIds": ["STARRED"]}).json
    assert all("STARRED" in message["labelIds"] for message in found["messages"])
    api("POST", f"threads/{first}/trash")
    assert ids(api("GET", "threads"), "threads") == []
    api("POST", f"threads/{first}/untrash")
    assert ids(api("GET", "threads"), "threads") == [first]
    assert api("DELETE", f"threads/{first}").status == 204
    assert api("GET", f"threads/{first}").status == 404
    assert mail.messages() == []


def test_threads_are_paged_by_their_newest_message(mail, api):
    for number in range(3):
        mail.deliver(letter(number))
        mail.deliver(letter(number + 10, subject=f"Re: Letter {number}", In_Reply_To=f"<letter-{number}@example.org>"))  # fmt: skip
    assert [len(p) for p in pages(api, "threads?maxResults=2", "threads")] == [2, 1]


# ---- sending and drafts -----------------------------------------------------------------------


def test_sending_keeps_a_copy_and_delivers_to_others_here_without_bcc(google, api):
    raw = letter(1, sender=ADA, to=f"{BOB}, x@elsewhere.example", Bcc="cy@gmail.example")
    google.simulator.add_user("cy@gmail.example")
    sent = api("POST", "messages/send", {"raw": base64url(raw)}).json
    assert sent["labelIds"] == ["SENT"]
    for address in (BOB, "cy@gmail.example"):
        mail = google.mail(address)
        [held] = mail.messages()
        assert "INBOX" in held.folders
        assert not held.seen
        assert b"bcc" not in mail.raw(held.id).lower()
    assert b"Bcc: cy@gmail.example" in google.mail().raw(sent["id"])


def test_the_api_puts_its_own_message_id_in_place_of_ours(google, api):
    for keeps in (False, True):
        google.simulator.limits.keeps_message_ids = keeps
        raw = letter(f"keeps-{keeps}", sender=ADA, to=BOB)
        sent = api("POST", "messages/send", {"raw": base64url(raw)}).json
        text = google.mail().raw(sent["id"])
        assert (f"<letter-keeps-{keeps}@example.org>".encode() in text) is keeps
        assert text.lower().count(b"message-id:") == 1


def test_a_reply_is_sent_into_a_thread_only_if_it_fits(mail, api):
    first = mail.deliver(letter(1, subject="Plans"))
    good = letter(2, subject="Re: Plans", to=BOB, In_Reply_To="<letter-1@example.org>")
    bad = letter(3, subject="Other", to=BOB, In_Reply_To="<letter-1@example.org>")
    loose = letter(4, subject="Re: Plans", to=BOB)
    threads = [
        api("POST", "messages/send", {"raw": base64url(raw), "threadId": first}).json["threadId"]
        for raw in (good, bad, loose)
    ]
    assert threads[0] == first
    assert first not in threads[1:]
    unknown = {"raw": base64url(good), "threadId": "1234567890abcdef"}
    assert api("POST", "messages/send", unknown).status == 404


def test_mail_to_oneself_is_one_message_in_both_places(mail, api):
    api("POST", "messages/send", {"raw": base64url(letter(to=ADA))})
    [held] = mail.messages()
    assert {"INBOX", "SENT"} <= set(held.folders)


def test_nothing_is_sent_without_a_recipient_or_a_message(api):
    no_one = base64url(b"Subject: x\r\n\r\nx")
    assert api("POST", "messages/send", {"raw": no_one}).error["message"] == "Recipient address required"  # fmt: skip
    for body in ({}, {"raw": ""}, {"raw": "*"}):
        assert api("POST", "messages/send", body).status == 400


def test_a_message_is_inserted_now_and_imported_with_its_date(mail, api):
    raw = {"raw": base64url(letter(1)), "labelIds": ["INBOX"]}
    inserted = api("POST", "messages", raw).json["id"]
    imported = api("POST", "messages/import?neverMarkSpam=true", raw).json["id"]
    dated = api("POST", "messages?internalDateSource=dateHeader", raw).json["id"]
    dates = {m.id: m.received_at.date().isoformat() for m in mail.messages()}
    assert dates[imported] == dates[dated] == "2026-11-20"
    assert dates[inserted] != "2026-11-20" or dt.datetime.now(dt.UTC).day == 20
    assert api("POST", "messages", {**raw, "labelIds": ["Label_9"]}).status == 400


def test_a_message_may_be_uploaded_as_it_is(google, mail):
    token = google.token(FULL)
    raw = letter(1, sender=ADA, to=BOB)
    path = "/upload/gmail/v1/users/me/messages/send?uploadType=media"
    simple = google.ask("POST", path, token=token, body=raw, headers={"Content-Type": "message/rfc822"})  # fmt: skip
    assert simple.json["labelIds"] == ["SENT"]
    parts = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    both = google.ask(
        "POST",
        path.replace("media", "multipart"),
        token=token,
        body=parts + raw + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/related; boundary=b"},
    )
    assert both.status == 200
    assert google.mail().raw(both.json["id"]).endswith(b"The text of letter 1.\r\n")


def test_a_draft_is_changed_and_sent(google, mail, api):
    first = mail.deliver(letter(1, subject="Plans"))
    reply = letter(2, subject="Re: Plans", to=BOB, In_Reply_To="<letter-1@example.org>")
    made = api("POST", "drafts", {"message": {"raw": base64url(reply), "threadId": first}}).json
    assert made["message"]["labelIds"] == ["DRAFT"]
    assert made["message"]["threadId"] == first
    changed = api("PUT", f"drafts/{made['id']}", {"message": {"raw": base64url(letter(3, subject="Re: Plans", to=BOB))}}).json  # fmt: skip
    assert changed["id"] == made["id"]
    assert changed["message"]["id"] != made["message"]["id"]
    assert ids(api("GET", "drafts"), "drafts") == [made["id"]]
    assert api("GET", f"drafts/{made['id']}?format=minimal").json["message"]["threadId"] == first
    sent = api("POST", "drafts/send", {"id": made["id"]}).json
    assert sent["labelIds"] == ["SENT"]
    assert sent["threadId"] == first
    assert sent["id"] != changed["message"]["id"]
    assert ids(api("GET", "drafts"), "drafts") == []
    assert len(google.mail(BOB).messages()) == 1
    other = api("POST", "drafts", {"message": {"raw": base64url(letter(4))}}).json["id"]
    assert api("DELETE", f"drafts/{other}").status == 204
    assert api("GET", f"drafts/{other}").status == 404


def test_a_refused_draft_stays_a_draft(mail, api):
    nobody = {"message": {"raw": base64url(b"Subject: x\r\n\r\nx")}}
    made = api("POST", "drafts", nobody).json["id"]
    assert api("POST", "drafts/send", {"id": made}).status == 400
    assert ids(api("GET", "drafts"), "drafts") == [made]


def test_more_than_an_upload_takes_is_refused(google):
    path = "/upload/gmail/v1/users/me/messages/send?uploadType=media"
    answer = google.ask("POST", path, token=google.token(FULL), body=bytes(36_700_161))
    assert (answer.status, answer.reason) == (413, "uploadTooLarge")


def test_mail_leaves_from_an_address_the_account_may_use_or_from_its_own(google, api):
    aliases = [
        {"sendAsEmail": "sales@crm.example", "verificationStatus": "accepted", "isDefault": True},
        {"sendAsEmail": "new@crm.example", "verificationStatus": "pending"},
    ]
    google.simulator.add_user(ADA, send_as=aliases)
    listed = api("GET", "settings/sendAs").json["sendAs"]
    assert [(one["sendAsEmail"], one["isDefault"]) for one in listed] == [
        (ADA, False),
        ("sales@crm.example", True),
        ("new@crm.example", False),
    ]
    for sender, left_from in (
        (f"Ada <{ADA}>", f"Ada <{ADA}>"),
        ("sales@crm.example", "sales@crm.example"),
        ("new@crm.example", "sales@crm.example"),
        ("eve@example.org", "sales@crm.example"),
    ):
        sent = api("POST", "messages/send", {"raw": base64url(letter(sender=sender, to=BOB))}).json
        assert f"From: {left_from}\r\n".encode() in google.mail().raw(sent["id"])


# ---- scopes and users -------------------------------------------------------------------------


def test_the_metadata_scope_sees_no_content_and_cannot_search(google, mail):
    made = mail.deliver(letter())
    token = google.token(METADATA)
    assert google.api("GET", f"messages/{made}?format=metadata", token).status == 200
    assert google.api("GET", f"messages/{made}", token).status == 403
    assert google.api("GET", f"messages/{made}?format=raw", token).status == 403
    assert google.api("GET", "messages?q=letter", token).status == 403
    assert google.api("GET", f"messages/{made}", google.token(METADATA, READONLY)).status == 200


def test_only_the_whole_scope_deletes_for_good(google, mail):
    made = mail.deliver(letter())
    answer = google.api("DELETE", f"messages/{made}", google.token(MODIFY))
    assert (answer.status, answer.reason) == (403, "insufficientPermissions")
    assert answer.error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert google.api("DELETE", f"messages/{made}", google.token(FULL)).status == 204


def test_a_token_opens_its_own_mailbox_only(google):
    token = google.token()
    assert google.ask("GET", f"/gmail/v1/users/{ADA}/profile", token=token).status == 200
    assert google.ask("GET", f"/gmail/v1/users/{BOB}/profile", token=token).status == 403
    for missing in (None, "made-up"):
        assert google.api("GET", "profile", missing).status == 401


def test_watch_lasts_seven_days_and_is_kept(google, api):
    google.simulator.add_topic("projects/p/topics/t")
    answer = api("POST", "watch", {"topicName": "projects/p/topics/t", "labelIds": ["INBOX"]}).json
    ahead = int(answer["expiration"]) / 1000 - google.simulator.clock.epoch()
    assert 7 * 86_400 - 60 < ahead <= 7 * 86_400
    [kept] = google.control("GET", "/").json["watches"]
    assert (kept["address"], kept["topic"], kept["labels"]) == (
        ADA,
        "projects/p/topics/t",
        ["INBOX"],
    )
    assert api("POST", "watch", {"topicName": "t"}).status == 400
    assert api("POST", "stop").status == 204
    assert google.control("GET", "/").json["watches"] == []

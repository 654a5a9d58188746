"""Google's consent as simulated: every way through the pages, and every way they end."""

import pytest

from infra.simulators.google.scopes import EMAIL
from tests.contract.simulators.google_world import (
    ADA,
    BOB,
    CALLBACK,
    CLIENT,
    MODIFY,
    READONLY,
    SECRET,
    SEND,
)

ASKED = {
    "client_id": CLIENT,
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": f"openid email {MODIFY}",
}


# ---- the way there ----------------------------------------------------------------------------


def test_the_whole_way_ends_in_tokens_that_open_the_mailbox(google):
    found = google.connect()
    assert found.query["state"] == "state of the test"
    assert found.query["iss"] == "https://accounts.google.com"
    assert found.tokens["token_type"] == "Bearer"
    assert found.tokens["expires_in"] == 3599
    assert found.tokens["scope"].split() == ["openid", EMAIL, MODIFY]
    assert google.api("GET", "profile", found.access).json["emailAddress"] == ADA


def test_the_user_chooses_the_account(google):
    found = google.connect(address=BOB)
    assert google.api("GET", "profile", found.access).json["emailAddress"] == BOB


def test_a_login_hint_marks_an_account_by_address_or_by_sub(google):
    for hint in (BOB, google.simulator.accounts.user(BOB).sub):
        page = google.browser.open(**ASKED, login_hint=hint).body.decode()
        assert f'value="{BOB}" required checked' in page
        assert f'value="{ADA}" required>' in page


def test_denying_goes_back_with_access_denied_and_the_state(google):
    page = google.browser.open(**ASKED, state="s 1&2")
    back = google.browser.arrived(google.browser.send(page, action="deny"))
    assert back["error"] == "access_denied"
    assert back["state"] == "s 1&2"
    assert "code" not in back


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"redirect_uri": f"{CALLBACK}/"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": f"{CALLBACK}?a=1"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": ""}, 400, "redirect_uri_mismatch"),
        ({"response_type": "token"}, 400, "invalid_request"),
        ({"scope": " "}, 400, "invalid_request"),
        ({"scope": "https://www.googleapis.com/auth/gmail.everything"}, 400, "invalid_scope"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, 400, "invalid_request"),
        ({"code_challenge": "x" * 43}, 400, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, 400, "invalid_request"),
        ({"access_type": "always"}, 400, "invalid_request"),
        ({"prompt": "none consent"}, 400, "invalid_request"),
    ],
)
def test_a_wrong_request_ends_on_a_page_and_goes_nowhere(google, change, status, code):
    answer = google.browser.open(**{**ASKED, **change})
    assert answer.status == status
    assert "Location" not in answer.headers
    assert f"<strong>{code}</strong>" in answer.body.decode()


def test_nothing_is_reflected_unescaped(google):
    evil = '"><script>alert(1)</script>'
    google.simulator.add_client(CLIENT, SECRET, [CALLBACK], name=evil)
    google.simulator.add_user(ADA, name=evil)
    for change in ({}, {"scope": evil}, {"response_type": evil}, {"prompt": evil}, {"state": evil}):
        body = google.browser.open(**{**ASKED, **change}).body
        assert b"<script" not in body


def test_a_consent_form_is_good_for_one_answer(google):
    page = google.browser.open(**ASKED)
    google.browser.arrived(google.browser.send(page, action="deny"))
    again = google.browser.send(page, account=ADA, action="allow")
    assert again.status == 400


def test_a_single_scope_beyond_sign_in_has_no_checkbox(google):
    assert b'type="checkbox"' not in google.browser.open(**ASKED).body


def test_several_scopes_may_be_allowed_one_by_one(google):
    asked = f"openid email {READONLY} {SEND}"
    page = google.browser.open(**{**ASKED, "scope": asked}).body.decode()
    assert page.count('type="checkbox"') == 2
    assert google.connect(asked, ticked=[SEND]).tokens["scope"].split() == ["openid", EMAIL, SEND]
    assert google.connect(asked).tokens["scope"].split() == ["openid", EMAIL]


def test_granted_scopes_are_included_when_asked_for(google):
    google.connect(READONLY)
    found = google.connect(SEND, include_granted_scopes="true")
    assert set(found.tokens["scope"].split()) == {SEND, READONLY}
    assert set(google.connect(SEND).tokens["scope"].split()) == {SEND}


def test_prompt_none_needs_a_known_account_and_an_earlier_consent(google):
    silent = {**ASKED, "prompt": "none"}
    back = google.browser.arrived
    assert back(google.browser.open(**silent))["error"] == "interaction_required"
    assert back(google.browser.open(**silent, login_hint=ADA))["error"] == "consent_required"
    google.connect()
    assert "code" in back(google.browser.open(**silent, login_hint=ADA))


def test_an_internal_client_is_for_its_own_organization(google):
    google.simulator.change_client(CLIENT, internal_domain="crm.example")
    page = google.browser.open(**ASKED)
    answer = google.browser.send(page, account=ADA, action="allow")
    assert answer.status == 403
    assert b"org_internal" in answer.body
    google.simulator.add_user(ADA, hosted_domain="crm.example")
    assert google.connect().access

"""Entra as the simulator plays it: pages clicked through over HTTP, tokens, and every refusal."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from infra.simulators.microsoft.accounts import CONSUMERS_TENANT
from infra.simulators.microsoft.entra_errors import ERRORS
from infra.simulators.microsoft.grants import REVOKE_REASONS
from tests.contract.simulators.microsoft_client import (
    CALLBACK,
    CLIENT,
    OTHER,
    PERSONAL,
    SECRET,
    WORK,
    Graph,
    Web,
    answered,
    authorize_path,
    click,
    field,
    redeem,
    refresh,
    signed_in,
)


@pytest.fixture
def web(simulator):
    return Web(simulator.browser_url)


def refused(reply):
    """Return error, number and suberror of the token endpoint."""
    body = reply.json
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}:")
    assert {"timestamp", "trace_id", "correlation_id"} <= body.keys()
    return reply.status, body["error"], body["error_codes"][0], body.get("suberror")


def test_discovery_sends_browsers_to_http_and_names_the_issuer_as_the_tenant_asks(simulator, web):
    common = web.ask("GET", "/common/v2.0/.well-known/openid-configuration").json
    assert common["issuer"] == f"{simulator.url}/{{tenantid}}/v2.0"
    assert common["authorization_endpoint"].startswith(f"{simulator.browser_url}/common/")
    tenant = simulator.tenant(WORK)
    own = web.ask("GET", f"/{tenant}/v2.0/.well-known/openid-configuration").json
    assert own["issuer"] == f"{simulator.url}/{tenant}/v2.0"
    consumers = web.ask("GET", "/consumers/v2.0/.well-known/openid-configuration").json
    assert CONSUMERS_TENANT in consumers["issuer"]
    nobody = web.ask("GET", "/no-such-tenant/v2.0/.well-known/openid-configuration")
    assert refused(nobody)[:3] == (400, "invalid_request", 90002)


def test_a_person_clicks_through_and_the_application_gets_tokens(simulator, web):
    page = web.ask("GET", authorize_path(login_hint=WORK, client_info="1"))
    text = page.data.decode()
    assert "Read and write access to your mail" in text
    assert f'value="{WORK}" checked' in text
    assert "<script" not in text
    back = answered(click(web, authorize_path(client_info="1")))
    assert back["state"] == "st&<ate>"
    tokens = redeem(web, back["code"], client_info="1").json
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == "Mail.ReadWrite Mail.Send User.Read openid profile email"
    assert 3600 <= tokens["expires_in"] <= 5400
    info = json.loads(base64.urlsafe_b64decode(tokens["client_info"] + "=="))
    assert info["utid"] == simulator.tenant(WORK)
    keys = KeySet.import_key_set(web.ask("GET", "/common/discovery/v2.0/keys").json)
    token = jwt.decode(tokens["id_token"], keys)
    assert token.header["alg"] == "RS256"
    claims = token.claims
    assert claims["aud"] == CLIENT
    assert claims["iss"] == f"{simulator.url}/{simulator.tenant(WORK)}/v2.0"
    assert (claims["nonce"], claims["ver"]) == ("n0nce", "2.0")
    assert (claims["preferred_username"], claims["email"]) == (WORK, WORK)
    assert claims["oid"] == info["uid"]
    assert claims["sub"] != claims["oid"]
    assert Graph(simulator.browser_url, tokens["access_token"]).get("/me")["mail"] == WORK


def test_a_personal_account_is_in_microsofts_tenant(simulator, web):
    back = answered(click(web, authorize_path(), account=PERSONAL))
    tokens = redeem(web, back["code"]).json
    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    assert claims["tid"] == CONSUMERS_TENANT
    assert claims["oid"].startswith("00000000-0000-0000-")
    assert "https://graph.microsoft.com/Mail.ReadWrite" in tokens["scope"].split()
    me = Graph(simulator.browser_url, tokens["access_token"]).get("/me")
    assert len(me["id"]) == 16


def test_the_answer_can_come_as_a_form(web):
    page = click(web, authorize_path(response_mode="form_post"))
    assert page.status == 200
    assert f'action="{CALLBACK}"' in page.data.decode()
    assert field(page, "state") == "st&<ate>"
    assert redeem(web, field(page, "code")).status == 200


def test_cancelling_tells_the_application(web):
    back = answered(click(web, authorize_path(), decision="cancel"))
    assert (back["error"], back["error_subcode"]) == ("access_denied", "cancel")
    assert "AADSTS65004" in back["error_description"]


def test_a_tenant_may_leave_consent_to_its_administrators(simulator, web):
    simulator.add_user(OTHER, admin_consent=True)
    page = click(web, authorize_path(), account=OTHER)
    assert "Need admin approval" in page.data.decode()
    back = answered(web.form("/common/oauth2/v2.0/consent", request=field(page), decision="return"))
    assert "AADSTS90094" in back["error_description"]
    query = urllib.parse.urlencode(
        {
            "client_id": CLIENT,
            "redirect_uri": CALLBACK,
            "scope": "Mail.ReadWrite Mail.Send User.Read",
        }
    )
    where = f"/{simulator.tenant(OTHER)}/v2.0/adminconsent"
    asked = web.ask("GET", f"{where}?{query}")
    no = answered(web.form(where, request=field(asked), decision="cancel"))
    assert no["error"] == "consent_required"
    yes = answered(web.form(where, request=field(asked), decision="allow"))
    assert (yes["admin_consent"], yes["tenant"]) == ("True", simulator.tenant(OTHER))
    assert "code" in answered(click(web, authorize_path(), account=OTHER))


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_id": "unknown"}, 700016),
        ({"redirect_uri": "https://elsewhere.example/"}, 50011),
    ],
)
def test_who_is_not_known_is_shown_a_page_and_never_sent_anywhere(web, changes, number):
    page = web.ask("GET", authorize_path(**changes))
    assert page.status == 400
    assert f"AADSTS{number}" in page.data.decode()
    assert "location" not in page.headers


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"scope": "Mail.Everything"}, 70011),
        ({"scope": None}, 900144),
        ({"response_type": "token"}, 700054),
        ({"response_mode": "pigeon"}, 90023),
        ({"prompt": "none"}, 50058),
    ],
)
def test_a_bad_request_comes_back_to_the_application(web, changes, number):
    back = answered(web.ask("GET", authorize_path(**changes)))
    assert f"AADSTS{number}" in back["error_description"]
    assert back["state"] == "st&<ate>"


def test_nothing_from_the_address_is_written_into_a_page_as_html(web):
    page = web.ask("GET", authorize_path(client_id="<script>alert(1)</script>"))
    assert "<script>" not in page.data.decode()


def test_single_tenant_and_audience_rules(simulator, web):
    tenant = simulator.tenant(WORK)
    simulator.change_client(CLIENT, audience=tenant)
    assert "AADSTS50194" in web.ask("GET", authorize_path()).data.decode()
    assert "AADSTS9002332" in web.ask("GET", authorize_path("consumers")).data.decode()
    other = simulator.tenant(OTHER)
    assert "AADSTS700016" in web.ask("GET", authorize_path(other)).data.decode()
    assert "AADSTS90002" in web.ask("GET", authorize_path("nowhere")).data.decode()
    assert "AADSTS50020" in click(web, authorize_path(tenant), account=OTHER).data.decode()
    back = answered(click(web, authorize_path(tenant)))
    assert redeem(web, back["code"], tenant).status == 200
    simulator.change_client(CLIENT, audience="organizations")
    assert "AADSTS50020" in click(web, authorize_path(), account=PERSONAL).data.decode()
    simulator.change_client(CLIENT, audience="consumers")
    assert "AADSTS9002331" in web.ask("GET", authorize_path()).data.decode()
    back = answered(click(web, authorize_path("consumers"), account=PERSONAL))
    assert redeem(web, back["code"], "consumers").status == 200


def test_accounts_that_may_not_come_in(simulator, web):
    simulator.add_user(WORK, assigned=False)
    assert "AADSTS50105" in click(web, authorize_path()).data.decode()
    tokens = signed_in(simulator, OTHER)
    simulator.add_user(OTHER, enabled=False)
    assert refused(refresh(web, tokens["refresh_token"]))[1:3] == ("invalid_grant", 50057)


def test_a_code_is_good_once_for_who_asked_and_not_for_long(simulator, web):
    back = answered(click(web, authorize_path()))
    code = back["code"]
    assert refused(redeem(web, code, redirect_uri="http://localhost:9999/other"))[2] == 500112
    assert refused(redeem(web, code, code_verifier="x" * 64))[2] == 501481
    assert refused(redeem(web, code, code_verifier=None))[2] == 90014
    assert refused(redeem(web, code, "organizations"))[2] == 700005
    simulator.add_client("other-client", "other", [CALLBACK])
    assert refused(redeem(web, code, client_id="other-client", client_secret="other"))[2] == 700009
    assert redeem(web, code).status == 200
    assert refused(redeem(web, code))[:3] == (400, "invalid_grant", 54005)
    assert refused(redeem(web, "made-up"))[2] == 70000
    late = answered(click(web, authorize_path()))["code"]
    simulator.clock.advance(601)
    assert refused(redeem(web, late))[2] == 70008


def test_a_client_proves_itself_with_a_secret_that_ends(simulator, web):
    code = answered(click(web, authorize_path()))["code"]
    assert refused(redeem(web, code, client_secret="wrong"))[:3] == (401, "invalid_client", 7000215)
    assert refused(redeem(web, code, client_secret=None))[:3] == (401, "invalid_client", 7000218)
    simulator.change_client(CLIENT, secret_expired=True)
    assert refused(redeem(web, code))[:3] == (401, "invalid_client", 7000222)
    simulator.change_client(CLIENT, client_secret="newer")
    assert redeem(web, code, client_secret="newer").status == 200
    simulator.change_client(CLIENT, disabled=True)
    assert refused(refresh(web, "x"))[1:3] == ("unauthorized_client", 7000112)
    assert refused(redeem(web, code, client_id="unknown"))[1:3] == ("unauthorized_client", 700016)


def test_a_refresh_gives_a_new_token_and_leaves_the_old_one_good(simulator, web):
    first = signed_in(simulator)
    second = refresh(web, first["refresh_token"]).json
    third = refresh(web, first["refresh_token"]).json
    assert len({one["refresh_token"] for one in (first, second, third)}) == 3
    assert "nonce" not in second["id_token"]
    simulator.clock.advance(89 * 86_400)
    assert refresh(web, first["refresh_token"]).status == 200
    simulator.clock.advance(89 * 86_400)
    assert refresh(web, first["refresh_token"]).status == 200
    # Nobody used this one for 178 days.
    assert refused(refresh(web, second["refresh_token"]))[1:3] == ("invalid_grant", 700082)


def test_a_refresh_asks_for_no_more_than_was_agreed_to(simulator, web):
    less = "openid profile offline_access User.Read Mail.Read"
    tokens = signed_in(simulator, scope=less)
    narrow = refresh(web, tokens["refresh_token"], scope="User.Read").json
    assert narrow["scope"] == "User.Read"
    more = refresh(web, tokens["refresh_token"], scope="Mail.Send")
    assert refused(more) == (400, "invalid_grant", 65001, "consent_required")
    unknown = refresh(web, tokens["refresh_token"], scope="Mail.Nothing")
    assert refused(unknown)[1:3] == ("invalid_scope", 70011)


def test_without_offline_access_there_is_no_refresh_token(simulator):
    assert "refresh_token" not in signed_in(simulator, scope="openid User.Read")


@pytest.mark.parametrize(("reason", "number"), REVOKE_REASONS.items())
def test_a_grant_ends_for_every_reason_and_a_new_sign_in_mends_it(simulator, web, reason, number):
    tokens = signed_in(simulator)
    control = web.ask("POST", f"/_control/users/{WORK}/grants/revoke", {"reason": reason})
    assert control.json == {"revoked": 1}
    body = refresh(web, tokens["refresh_token"])
    assert refused(body)[2] == number
    # What was given out lives its hour out.
    assert Graph(simulator.browser_url, tokens["access_token"]).ask("GET", "/me").status == 200
    assert refresh(web, signed_in(simulator)["refresh_token"]).status == 200


def test_an_access_token_ends(simulator):
    tokens = signed_in(simulator)
    simulator.clock.advance(tokens["expires_in"] + 1)
    reply = Graph(simulator.browser_url, tokens["access_token"]).ask("GET", "/me")
    assert (reply.status, reply.code) == (401, "InvalidAuthenticationToken")
    assert reply.headers["www-authenticate"].startswith("Bearer ")


def test_the_token_endpoint_says_what_is_missing(web):
    assert refused(web.form("/common/oauth2/v2.0/token"))[2] == 900144
    odd = web.form("/common/oauth2/v2.0/token", grant_type="password", client_id=CLIENT)
    assert refused(odd)[1:3] == ("unsupported_grant_type", 70003)
    bare = web.form(
        "/common/oauth2/v2.0/token",
        grant_type="refresh_token",
        client_id=CLIENT,
        client_secret=SECRET,
    )
    assert refused(bare)[2] == 900144


def test_every_known_error_of_the_token_endpoint_can_be_switched_on(simulator, web):
    tokens = signed_in(simulator)
    for number, known in ERRORS.items():
        simulator.faults.arm("token_error", number=number)
        reply = refresh(web, tokens["refresh_token"])
        assert refused(reply)[1:3] == (known.error, number)
        assert reply.status == known.status
        assert refresh(web, tokens["refresh_token"]).status == 200

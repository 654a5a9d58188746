"""Microsoft's own sign-in library does its whole way against the simulator, over https."""

from __future__ import annotations

import json

import msal
import pytest

from tests.contract.simulators.microsoft_client import (
    CALLBACK,
    CLIENT,
    OTHER,
    PERSONAL,
    SECRET,
    WORK,
    Graph,
    Web,
    click,
    posted,
    running,
)

SCOPES = ["User.Read", "Mail.ReadWrite", "Mail.Send"]


@pytest.fixture
def simulator(certificates, monkeypatch):
    # msal's `verify` loses against this variable, so an environment with one would break it.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))
    good = certificates.good
    with running(certificate=good.certificate, key=good.key) as simulator:
        yield simulator


@pytest.fixture
def application(simulator):
    made = []

    def make(tenant="common", secret=SECRET, **options):
        # A new one each time: it answers a repeated bad request from memory for a minute.
        new = msal.ConfidentialClientApplication(
            CLIENT,
            client_credential=secret,
            authority=f"{simulator.url}/{tenant}",
            instance_discovery=False,
            **options,
        )
        made.append(new)
        return new

    yield make
    for one in made:
        one.http_client.close()


def consent(simulator, flow, account=WORK, decision="allow"):
    assert flow["auth_uri"].startswith(simulator.browser_url)
    web = Web(simulator.browser_url)
    page = click(web, flow["auth_uri"].removeprefix(web.url), account=account, decision=decision)
    return posted(page)


def flow_of(application, **options):
    # By a form, as msal wants it: by the address it warns.
    return application.initiate_auth_code_flow(
        SCOPES, redirect_uri=CALLBACK, response_mode="form_post", **options
    )


def sign_in(simulator, application, account=WORK):
    flow = flow_of(application, login_hint=account)
    return application.acquire_token_by_auth_code_flow(flow, consent(simulator, flow, account))


@pytest.mark.parametrize("account", [WORK, PERSONAL])
def test_msal_signs_in_and_refreshes_silently(simulator, application, account):
    cache = msal.SerializableTokenCache()
    first = application(token_cache=cache)
    result = sign_in(simulator, first, account)
    assert "error" not in result, result
    claims = result["id_token_claims"]
    assert claims["preferred_username"] == account
    assert claims["tid"] == simulator.tenant(account)
    (known,) = first.get_accounts()
    assert known["home_account_id"] == f"{claims['oid']}.{claims['tid']}"
    assert Graph(simulator.browser_url, result["access_token"]).get("/me")["mail"] == account
    kept = cache.serialize()
    simulator.clock.advance(7200)
    later_cache = msal.SerializableTokenCache()
    later_cache.deserialize(kept)
    later = application(token_cache=later_cache)
    (known,) = later.get_accounts()
    fresh = later.acquire_token_silent_with_error(SCOPES, known, force_refresh=True)
    assert "error" not in fresh, fresh
    assert fresh["access_token"] != result["access_token"]
    assert later_cache.has_state_changed
    one = json.loads(later_cache.serialize())["RefreshToken"]
    assert len(one) == 1


def test_msal_refreshes_a_bare_refresh_token(simulator, application):
    first = sign_in(simulator, application())
    fresh = application().acquire_token_by_refresh_token(first["refresh_token"], SCOPES)
    assert fresh["refresh_token"] != first["refresh_token"]


def test_msal_believes_a_tenants_own_issuer_and_the_discovery_of_the_instance(
    simulator, application
):
    tenant = simulator.tenant(OTHER)
    result = sign_in(simulator, application(tenant), OTHER)
    assert result["id_token_claims"]["iss"] == f"{simulator.url}/{tenant}/v2.0"
    named = msal.ConfidentialClientApplication(
        CLIENT,
        client_credential=SECRET,
        oidc_authority=f"{simulator.url}/{tenant}/v2.0",
    )
    assert "error" not in sign_in(simulator, named, OTHER)
    named.http_client.close()


def test_msal_hears_of_a_cancelled_consent(simulator, application):
    app = application()
    flow = flow_of(app)
    back = consent(simulator, flow, decision="cancel")
    result = app.acquire_token_by_auth_code_flow(flow, back)
    assert result["error"] == "access_denied"
    assert "AADSTS65004" in result["error_description"]


def test_msal_refuses_another_state_and_the_simulator_another_verifier(simulator, application):
    app = application()
    flow = flow_of(app)
    back = consent(simulator, flow)
    with pytest.raises(ValueError, match="state"):
        app.acquire_token_by_auth_code_flow(flow, {**back, "state": "other"})
    wrong = {**flow, "code_verifier": "x" * 64}
    result = app.acquire_token_by_auth_code_flow(wrong, back)
    assert result["error_codes"] == [501481]


@pytest.mark.parametrize(
    ("number", "error", "suberror"),
    [
        (65001, "invalid_grant", "consent_required"),
        (50076, "invalid_grant", "basic_action"),
        (50079, "invalid_grant", "basic_action"),
        (50074, "invalid_grant", "basic_action"),
        (50158, "interaction_required", "basic_action"),
        (53003, "interaction_required", "message_only"),
        (70008, "invalid_grant", None),
        (700082, "invalid_grant", "bad_token"),
        (50173, "invalid_grant", "bad_token"),
        (70000, "invalid_grant", None),
        (70043, "invalid_grant", "bad_token"),
        (700016, "unauthorized_client", None),
        (50194, "invalid_request", None),
        (50105, "invalid_grant", None),
        (7000215, "invalid_client", None),
        (7000222, "invalid_client", None),
        (50196, "invalid_grant", None),
    ],
)
def test_msal_hands_every_refusal_on(simulator, application, number, error, suberror):
    first = application()
    sign_in(simulator, first)
    (known,) = first.get_accounts()
    simulator.faults.arm("token_error", number=number)
    result = first.acquire_token_silent_with_error(SCOPES, known, force_refresh=True)
    assert (result["error"], result["error_codes"]) == (error, [number])
    assert result.get("suberror") == suberror


def test_msal_hands_on_what_really_happened(simulator, application):
    app = application()
    flow = flow_of(app)
    back = consent(simulator, flow)
    assert "error" not in app.acquire_token_by_auth_code_flow(flow, back)
    again = application().acquire_token_by_auth_code_flow(flow, back)
    assert again["error_codes"] == [54005]
    (known,) = app.get_accounts()
    simulator.revoke_grants(WORK, "password")
    ended = app.acquire_token_silent_with_error(SCOPES, known, force_refresh=True)
    assert (ended["error"], ended["error_codes"]) == ("invalid_grant", [50173])
    wrong = application(secret="wrong").acquire_token_by_refresh_token("x", SCOPES)
    assert (wrong["error"], wrong["error_codes"]) == ("invalid_client", [7000215])
    simulator.change_client(CLIENT, secret_expired=True)
    expired = application().acquire_token_by_refresh_token("x", SCOPES)
    assert (expired["error"], expired["error_codes"]) == ("invalid_client", [7000222])

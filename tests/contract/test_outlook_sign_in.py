"""Signing in with Microsoft at the simulator: through msal and a browser, each refusal to its words."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.config import Settings
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.providers import registry
from shared.providers.outlook.sign_in import MicrosoftSignIn
from shared.providers.outlook.token_endpoint import Documents
from tests.contract.outlook_world import (
    CALLBACK,
    CLIENT,
    OTHER,
    OWNER,
    PERSONAL,
    come_back,
    sign_in_as,
)

TOKEN = r"/oauth2/v2\.0/token$"


def completed(world, page, back, *, client=CLIENT, redirect_uri=CALLBACK, now=None):
    now = now or world.simulator.clock.now()
    return world.sign_in.complete(client, page.kept, back, redirect_uri=redirect_uri, now=now)


def begun(world, client=CLIENT, **more):
    return world.sign_in.begin(client, redirect_uri=CALLBACK, **more)


def renewed(world, kept=None, *, client=CLIENT):
    kept = kept or world.tokens.tokens.kept
    return world.sign_in.renew(client, kept, now=world.simulator.clock.now())


# ---- begin ----


def test_the_page_asks_for_what_is_needed_with_a_proof_key_a_nonce_and_a_state(outlook):
    page = begun(outlook)
    asked = {name: one[0] for name, one in parse_qs(urlsplit(page.url).query).items()}
    assert set(asked["scope"].split()) == {
        "openid",
        "profile",
        "email",
        "offline_access",
        "User.Read",
        "Mail.ReadWrite",
        "Mail.Send",
    }
    assert asked["redirect_uri"] == CALLBACK
    assert asked["code_challenge_method"] == "S256"
    assert (asked["response_mode"], asked["prompt"]) == ("query", "select_account")
    assert asked["state"] == page.state
    assert len(page.state) >= 22
    kept = json.loads(page.kept.reveal())["flow"]
    assert kept["code_verifier"] not in page.url
    assert kept["nonce"] not in page.url
    assert begun(outlook).state != page.state


def test_a_hint_names_the_account_and_leaves_no_choice(outlook):
    asked = parse_qs(urlsplit(begun(outlook, login_hint=OWNER).url).query)
    assert asked["login_hint"] == [OWNER]
    assert "prompt" not in asked


# ---- complete ----


def test_an_account_is_named_by_directory_and_object_never_by_an_address(outlook):
    who = sign_in_as(outlook.simulator, outlook.sign_in)
    user = outlook.simulator.state()["users"][OWNER]
    assert who.subject == f"{user['tenant']}.{user['oid']}"
    personal = sign_in_as(outlook.simulator, outlook.sign_in, PERSONAL)
    assert personal.subject.startswith("9188040d-6c67-4c5b-b112-36a304b66dad.")


def test_what_is_kept_is_read_without_msal_and_holds_no_id_token(outlook):
    who = sign_in_as(outlook.simulator, outlook.sign_in)
    again = outlook.sign_in.tokens(who.tokens.kept)
    assert again == who.tokens
    assert "IdToken" not in who.tokens.kept.reveal()
    program = (
        "import sys; from shared.providers.outlook.sign_in import MicrosoftSignIn;"
        "from shared.domain.secret import Secret;"
        "MicrosoftSignIn(None).tokens(Secret(sys.stdin.read()));"
        "print({'msal', 'jwt', 'requests', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=who.tokens.kept.reveal(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"v":1}', '{"v":2,"cache":{},"expires_at":1}'])
def test_any_other_text_is_no_tokens(outlook, text):
    with pytest.raises(ValueError, match=r"."):
        outlook.sign_in.tokens(Secret(text))


def test_a_declined_consent_is_told_as_such(outlook):
    page = begun(outlook)
    with pytest.raises(RequestError) as caught:
        completed(outlook, page, come_back(page.url, decision="cancel"))
    assert caught.value.code is ErrorCode.CONSENT_DECLINED


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (50034, ErrorCode.ACCOUNT_NOT_SUPPORTED),
        (50053, ErrorCode.ACCESS_BLOCKED),
        (50057, ErrorCode.ACCESS_BLOCKED),
        (50126, ErrorCode.SIGN_IN_REQUIRED),
        # A number nobody knows leaves the word of its error.
        (99999, ErrorCode.CONSENT_DECLINED),
    ],
)
def test_what_the_page_refuses_is_named_when_the_person_comes_back(outlook, number, code):
    page = begun(outlook)
    outlook.simulator.faults.arm("authorize_error", number=number)
    with pytest.raises(MailroomError) as caught:
        completed(outlook, page, come_back(page.url))
    assert caught.value.code is code


def test_where_an_administrator_must_approve_that_is_told_and_then_works(outlook):
    outlook.simulator.add_user(OTHER, admin_consent=True)
    page = begun(outlook)
    with pytest.raises(ConfigurationError) as caught:
        completed(outlook, page, come_back(page.url, account=OTHER))
    assert caught.value.code is ErrorCode.ADMIN_CONSENT_REQUIRED
    url = outlook.sign_in.admin_consent_url(CLIENT, redirect_uri=CALLBACK)
    url = url.replace(outlook.simulator.url, outlook.simulator.browser_url)
    assert come_back(url)["admin_consent"] == "True"
    page = begun(outlook)
    assert completed(outlook, page, come_back(page.url, account=OTHER)).subject


def test_the_administrators_page_is_the_directorys_own_or_any_organisations():
    sign_in = MicrosoftSignIn(None)
    url = sign_in.admin_consent_url(CLIENT, redirect_uri=CALLBACK)
    assert url.startswith("https://login.microsoftonline.com/organizations/v2.0/adminconsent?")
    asked = parse_qs(urlsplit(url).query)
    assert asked["scope"] == [
        "https://graph.microsoft.com/User.Read https://graph.microsoft.com/Mail.ReadWrite"
        " https://graph.microsoft.com/Mail.Send"
    ]
    assert asked["redirect_uri"] == [CALLBACK]
    own = sign_in.admin_consent_url(replace(CLIENT, directory="tenant-id"), redirect_uri=CALLBACK)
    assert own.startswith("https://login.microsoftonline.com/tenant-id/v2.0/adminconsent?")


def test_a_code_is_good_once(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    completed(outlook, page, back)
    with pytest.raises(RequestError) as caught:
        completed(outlook, page, back)
    assert caught.value.code is ErrorCode.ATTEMPT_EXPIRED


def test_a_code_that_is_too_old_is_an_attempt_that_is_over(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    outlook.simulator.clock.advance(3600)
    with pytest.raises(RequestError) as caught:
        completed(outlook, page, back)
    assert caught.value.code is ErrorCode.ATTEMPT_EXPIRED


def test_another_state_is_somebody_elses_attempt(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    for state in ("", "other", begun(outlook).state):
        with pytest.raises(RequestError) as caught:
            completed(outlook, page, {**back, "state": state})
        assert caught.value.code is ErrorCode.ATTEMPT_NOT_YOURS


def test_a_code_of_another_attempt_is_not_redeemed(outlook):
    page, other = begun(outlook), begun(outlook)
    back = come_back(other.url)
    with pytest.raises(RequestError) as caught:
        completed(outlook, page, {"state": page.state, "code": back["code"]})
    assert caught.value.code is ErrorCode.ATTEMPT_EXPIRED


def test_what_a_browser_says_of_the_account_is_not_heeded(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    forged = {**back, "client_info": "eyJ1aWQiOiJ4IiwidXRpZCI6InkifQ", "id_token": "a.b.c"}
    who = completed(outlook, page, forged)
    assert who.subject == sign_in_as(outlook.simulator, outlook.sign_in).subject
    assert '"x.y' not in who.tokens.kept.reveal()


def test_an_answer_for_another_address_of_ours_is_refused(outlook):
    page = begun(outlook)
    with pytest.raises(RequestError) as caught:
        completed(outlook, page, come_back(page.url), redirect_uri="https://else.example/callback")
    assert caught.value.code is ErrorCode.ATTEMPT_EXPIRED


def test_an_answer_without_code_or_error_is_an_attempt_that_is_over(outlook):
    page = begun(outlook)
    with pytest.raises(RequestError) as caught:
        completed(outlook, page, {"state": page.state})
    assert caught.value.code is ErrorCode.ATTEMPT_EXPIRED


def test_a_permission_that_was_not_given_is_told(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    outlook.simulator.faults.arm("token_scope", scope="openid profile email User.Read Mail.Send")
    with pytest.raises(ReconnectRequiredError) as caught:
        completed(outlook, page, back)
    assert caught.value.code is ErrorCode.SCOPE_MISSING
    assert "Mail.ReadWrite" in caught.value.cause


def test_permissions_written_out_in_full_count(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    graph = "https://graph.microsoft.com"
    outlook.simulator.faults.arm(
        "token_scope", scope=f"openid {graph}/mail.readwrite {graph}/Mail.Send {graph}/User.Read"
    )
    assert completed(outlook, page, back).subject


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ("refresh_token", ReconnectRequiredError),
        ("id_token", RetryLaterError),
        ("access_token", RetryLaterError),
    ],
)
def test_tokens_that_are_left_out_are_missed(outlook, field, error):
    page = begun(outlook)
    back = come_back(page.url)
    outlook.simulator.faults.arm("token_without", field=field)
    with pytest.raises(error):
        completed(outlook, page, back)


@pytest.mark.parametrize("value", [None, 0, -5, "3600", "soon", 1e300, 3600.5, True, [1]])
def test_a_lifetime_that_is_missing_or_odd_is_survived(outlook, value):
    page = begun(outlook)
    back = come_back(page.url)
    now = outlook.simulator.clock.now()
    outlook.simulator.faults.arm("token_expires_in", value=value)
    tokens = completed(outlook, page, back, now=now).tokens
    assert timedelta(0) < tokens.expires_at - now <= timedelta(days=1)
    outlook.simulator.faults.arm("token_expires_in", value=value)
    assert renewed(outlook, tokens.kept).access_token != tokens.access_token


def test_a_directorys_own_client_admits_its_accounts_alone(outlook):
    directory = outlook.simulator.tenant(OWNER)
    client = replace(CLIENT, directory=directory)
    page = begun(outlook, client)
    assert f"/{directory}/" in page.url
    who = completed(outlook, page, come_back(page.url), client=client)
    assert who.subject.startswith(directory)
    assert renewed(outlook, who.tokens.kept, client=client).access_token


def test_a_directory_there_is_none_of_is_our_clients_trouble(outlook):
    with pytest.raises(ConfigurationError) as caught:
        begun(outlook, replace(CLIENT, directory="00000000-0000-4000-8000-000000000000"))
    assert caught.value.code is ErrorCode.CLIENT_REJECTED


# ---- renew ----


def test_a_renewal_gives_another_token_and_something_new_to_store(outlook):
    before = outlook.tokens.tokens
    after = renewed(outlook)
    assert after.access_token != before.access_token
    assert after.kept != before.kept
    assert outlook.sign_in.tokens(after.kept) == after
    held = json.loads(after.kept.reveal())["cache"]
    assert {kind: len(held[kind]) for kind in ("AccessToken", "RefreshToken", "Account")} == {
        "AccessToken": 1,
        "RefreshToken": 1,
        "Account": 1,
    }


def test_two_renewals_at_once_and_an_older_refresh_token_all_work(outlook):
    kept = outlook.tokens.tokens.kept
    first, second = renewed(outlook, kept), renewed(outlook, kept)
    assert first.access_token != second.access_token
    for one in (first, second):
        assert renewed(outlook, one.kept).access_token


def test_a_secret_that_was_mended_works_at_once(outlook):
    outlook.simulator.change_client(CLIENT.client_id, client_secret="mended")
    with pytest.raises(ConfigurationError) as caught:
        renewed(outlook)
    assert caught.value.code is ErrorCode.CLIENT_REJECTED
    mended = replace(CLIENT, client_secret=Secret("mended"))
    assert renewed(outlook, client=mended).access_token


def test_a_refusal_is_not_remembered(outlook):
    outlook.simulator.faults.arm("token_error", number=700082)
    with pytest.raises(ReconnectRequiredError):
        renewed(outlook)
    assert renewed(outlook).access_token


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("user", ErrorCode.GRANT_REVOKED),
        ("expired", ErrorCode.GRANT_EXPIRED),
        ("consent", ErrorCode.GRANT_REVOKED),
        ("session", ErrorCode.GRANT_REVOKED),
        ("sign_in_frequency", ErrorCode.SIGN_IN_REQUIRED),
        ("mfa", ErrorCode.SIGN_IN_REQUIRED),
    ],
)
def test_a_grant_that_ended_needs_a_reconnection(outlook, reason, code):
    outlook.simulator.revoke_grants(OWNER, reason)
    with pytest.raises(ReconnectRequiredError) as caught:
        renewed(outlook)
    assert (caught.value.code, caught.value.definitive) == (code, True)


def test_conditional_access_stops_a_mailbox_for_a_while_and_not_for_good(outlook):
    outlook.simulator.faults.arm("token_error", number=53003)
    with pytest.raises(ConfigurationError) as caught:
        renewed(outlook)
    assert caught.value.code is ErrorCode.ACCESS_BLOCKED
    assert renewed(outlook).access_token


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_token_endpoint_is_never_a_refusal(outlook, status):
    outlook.simulator.faults.arm("token_busy", status=status, retry_after=17)
    with pytest.raises(RetryLaterError) as caught:
        renewed(outlook)
    assert caught.value.retry_after_seconds == 17
    assert renewed(outlook).access_token


@pytest.mark.parametrize(
    "fault",
    [
        "html",
        "broken_json",
        "not_an_object",
        "empty_body",
        "redirect",
        "huge_body",
        "cut_body",
    ],
)
@pytest.mark.parametrize("moment", ["connecting", "renewing"])
def test_garbage_from_the_token_endpoint_is_never_a_refusal(outlook, fault, moment, caplog):
    page = begun(outlook)
    back = come_back(page.url)
    more = {"mebibytes": 4} if fault == "huge_body" else {}
    outlook.simulator.faults.arm(fault, route=TOKEN, **more)
    with pytest.raises(RetryLaterError):
        if moment == "connecting":
            completed(outlook, page, back)
        else:
            renewed(outlook)
    assert caplog.text == ""
    assert renewed(outlook).access_token


def test_an_answer_that_was_lost_costs_an_attempt_but_never_a_grant(outlook):
    page = begun(outlook)
    back = come_back(page.url)
    outlook.simulator.faults.arm("cut_after_work", route=TOKEN)
    with pytest.raises((RequestError, RetryLaterError)):
        completed(outlook, page, back)
    outlook.simulator.faults.arm("cut_after_work", route=TOKEN)
    assert renewed(outlook).access_token


def test_tokens_of_another_client_are_not_renewed_and_not_given_up(outlook):
    other = replace(CLIENT, client_id="22222222-2222-4333-8444-555555555555")
    outlook.simulator.add_client(other.client_id, CLIENT.client_secret.reveal(), [CALLBACK])
    with pytest.raises(ReconnectRequiredError) as caught:
        renewed(outlook, client=other)
    assert not caught.value.definitive


def test_the_description_of_the_sign_in_is_asked_for_once(outlook):
    outlook.simulator.log.clear()
    documents = Documents()
    for _ in range(3):
        sign_in = MicrosoftSignIn(outlook.http, outlook.sign_in._endpoints, documents=documents)
        sign_in.begin(CLIENT, redirect_uri=CALLBACK)
    assert len(outlook.simulator.log.entries()) == 1


def test_every_call_of_a_process_shares_what_is_described(outlook, certificates):
    settings = Settings(
        {
            "MAILROOM_MICROSOFT_LOGIN_URL": outlook.simulator.url,
            "MAILROOM_GRAPH_URL": outlook.simulator.url,
            "MAILROOM_EXTRA_CA_FILE": str(certificates.authority),
        }
    )
    outlook.simulator.log.clear()
    for _ in range(3):
        registry.sign_in(Provider.OUTLOOK, settings).begin(CLIENT, redirect_uri=CALLBACK)
    assert len(outlook.simulator.log.entries()) == 1


def test_a_sign_in_elsewhere_knows_nothing_of_one_before(outlook):
    outlook.simulator.log.clear()
    for _ in range(2):
        sign_in = MicrosoftSignIn(outlook.http, outlook.sign_in._endpoints)
        sign_in.begin(CLIENT, redirect_uri=CALLBACK)
    assert len(outlook.simulator.log.entries()) == 2


def test_a_description_that_does_not_come_passes(outlook):
    sign_in = MicrosoftSignIn(outlook.http, outlook.sign_in._endpoints)
    for fault in ("unavailable", "html", "broken_json"):
        more = {"fault": "status", "status": 503} if fault == "unavailable" else {"fault": fault}
        outlook.simulator.faults.arm(**more, route=r"openid-configuration$")
        with pytest.raises(RetryLaterError):
            sign_in.begin(CLIENT, redirect_uri=CALLBACK)
    assert sign_in.begin(CLIENT, redirect_uri=CALLBACK)


def test_no_secret_stands_in_any_error_or_log(outlook, caplog):
    caplog.set_level(0)
    page = begun(outlook)
    back = come_back(page.url)
    texts = []
    outlook.simulator.faults.arm("token_error", number=700082, times=None)
    for ask in (lambda: completed(outlook, page, back), lambda: renewed(outlook)):
        with pytest.raises((RequestError, ReconnectRequiredError)) as caught:
            ask()
        texts.append(repr(caught.value) + str(caught.value) + caught.value.cause)
    flow = json.loads(page.kept.reveal())["flow"]
    cache = json.loads(outlook.tokens.tokens.kept.reveal())["cache"]
    secrets = [
        CLIENT.client_secret.reveal(),
        back["code"],
        flow["code_verifier"],
        flow["nonce"],
        *(
            one["secret"]
            for kind in ("AccessToken", "RefreshToken")
            for one in cache[kind].values()
        ),
    ]
    for secret in secrets:
        assert secret not in caplog.text
        assert not any(secret in text for text in texts)


# ---- revoke, address ----


def test_nothing_is_sent_to_revoke_a_grant(outlook):
    outlook.simulator.log.clear()
    outlook.sign_in.revoke(CLIENT, outlook.tokens.tokens.kept)
    assert outlook.simulator.log.entries() == []


def test_the_address_is_the_mailboxes_own(outlook):
    assert outlook.provider.address(outlook.grant) == OWNER


INBOX = r"/mailFolders/inbox$"


@pytest.mark.parametrize("fault", ["mailbox_not_enabled", "resource_not_found"])
def test_an_account_without_a_mailbox_is_refused_at_its_sign_in(outlook, fault):
    outlook.simulator.faults.arm(fault, route=INBOX, times=None)
    with pytest.raises(ConfigurationError) as caught:
        outlook.provider.address(outlook.grant)
    assert caught.value.code is ErrorCode.PROVIDER_API_DISABLED


def test_a_mailbox_that_does_not_answer_at_its_sign_in_is_not_refused_for_good(outlook):
    outlook.simulator.faults.arm("unavailable", route=INBOX, times=None)
    with pytest.raises(RetryLaterError) as caught:
        outlook.provider.address(outlook.grant)
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE


def test_the_address_and_the_mailbox_are_asked_for_in_one_request(outlook):
    outlook.provider.address(outlook.grant)
    asked = [one.path for one in outlook.simulator.log.entries() if not one.batch]
    assert asked == ["/v1.0/$batch"]

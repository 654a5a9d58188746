"""What each refusal means where mail is sent, and which leaves a doubt."""

import pytest

from shared.domain.errors import (
    ConfigurationError,
    ReconnectRequiredError,
    RetryLaterError,
    SendRefusedError,
)
from shared.providers.outlook.graph import Reply
from shared.providers.outlook.sending_errors import SENDING, failure, is_settled

REFUSALS = [
    (403, "ErrorSendAsDenied", ConfigurationError, "sender_not_allowed"),
    (413, "ErrorMessageSizeExceeded", SendRefusedError, "mail_too_large"),
    (400, "ErrorAttachmentSizeLimitExceeded", SendRefusedError, "mail_too_large"),
    (413, "whatever", SendRefusedError, "mail_too_large"),
    (400, "ErrorInvalidRecipients", SendRefusedError, "recipient_rejected"),
    (403, "ErrorMessageBlocked", SendRefusedError, "mail_refused"),
    (403, "ErrorMessageSubmissionBlocked", ReconnectRequiredError, "browser_login_required"),
    (403, "ErrorAccountSuspend", ReconnectRequiredError, "browser_login_required"),
    (429, "ErrorExceededMessageLimit", RetryLaterError, "sending_limit_reached"),
    (403, "ErrorExceededMaxRecipientLimit", RetryLaterError, "sending_limit_reached"),
    (403, "ErrorExceededMessageLimitShowTierUpgrade", RetryLaterError, "sending_limit_reached"),
    (500, "ErrorSubmissionQuotaExceeded", RetryLaterError, "sending_limit_reached"),
    (403, "ErrorExceededHourlyMessageLimit", RetryLaterError, "rate_limited"),
    (507, "ErrorQuotaExceeded", RetryLaterError, "mailbox_full"),
    (403, "ErrorAccessDenied", ReconnectRequiredError, "scope_missing"),
    (429, "ApplicationThrottled", RetryLaterError, "rate_limited"),
    (404, "MailboxNotEnabledForRESTAPI", ConfigurationError, "provider_api_disabled"),
]


def reply(status, code="", retry_after=None):
    return Reply(status, {"error": {"code": code}}, retry_after)


@pytest.mark.parametrize(("status", "code", "kind", "means"), REFUSALS)
def test_a_refusal_is_told_by_its_code_and_leaves_no_doubt(status, code, kind, means):
    answer = reply(status, code, 1800.0)
    error = failure(answer)
    assert (type(error), str(error.code)) == (kind, means)
    if isinstance(error, RetryLaterError):
        assert error.retry_after_seconds == 1800
    assert is_settled(answer)


def test_every_code_of_the_table_is_tried():
    tried = {code.lower() for _status, code, *_ in REFUSALS}
    codes = {code for row in SENDING for code in row.codes}
    assert {one for one in codes if one not in tried and f"{one}showtierupgrade" not in tried} == {
        "errorexceededmaxrecipientlimitblock",
        "errormessagethrottled",
    }


@pytest.mark.parametrize("code", ["ErrorMimeContentInvalidBase64String", "ErrorMimeContentInvalid"])
def test_what_we_wrote_wrong_is_a_bug_and_no_matter_of_the_writers(code):
    with pytest.raises(ValueError, match=code.lower()):
        failure(reply(400, code))


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504])
def test_what_may_have_failed_in_the_middle_leaves_a_doubt(status):
    assert not is_settled(reply(status, "ErrorMailboxStoreUnavailable"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
def test_what_was_refused_leaves_none(status):
    assert is_settled(reply(status, "whatever"))

"""What every error looks like: RFC 9457, `application/problem+json`."""

from pydantic import Field

from shared.api.schemas.fields import Shown
from shared.api.schemas.verdicts import VerdictShown
from shared.domain.errors import Acts, ErrorCode, SendLimit


class FieldProblem(Shown):
    """What is wrong with one field."""

    field: str = Field(examples=["imap.port"])
    message: str = Field(examples=["From 1 to 65535."])


class Problem(Shown):
    """Why a request was not done. `code` is for programs, `detail` and `fix` are for people."""

    status: int = Field(examples=[400])
    code: ErrorCode = Field(examples=["invalid_request"])
    detail: str = Field(examples=["The request is not valid."])
    acts: Acts
    fix: str = Field(examples=["See `errors` for the fields to correct."])
    request_id: str = Field(examples=["JKJaXmPLvHcESHA="])
    errors: list[FieldProblem] | None = None
    admin_consent_url: str | None = None
    """With `admin_consent_required`: where an administrator approves, if the provider has that."""
    merged_into: str | None = None
    """With `contact_merged`: the id of the contact it is a part of now."""
    limit: SendLimit | None = None
    """With `send_limit_reached`: which one, of several the one that has room last."""
    imap: VerdictShown | None = None
    """With `connection_test_failed`: the verdict on the IMAP side."""
    smtp: VerdictShown | None = None

"""How a sign-in under way is kept: taken once, and told again to whoever comes twice."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.aws.mailbox_items import readers_of, readers_value
from shared.aws.stored_codes import stored_code
from shared.aws.table import Table
from shared.aws.tables_of_sign_ins import AttemptItem, attempt_key
from shared.domain.connecting import Attempt, Outcome, Wishes
from shared.domain.ids import FolderId, MailboxId, TenantId, UserId
from shared.domain.mailbox import MailboxKind, Provider, Purpose, StoredMail, Visibility
from shared.domain.secret import Secret

REMEMBERED = timedelta(days=1)
"""An attempt that is over is known this long: who comes back late is told so on the right page."""


@dataclass(frozen=True, slots=True)
class DynamoAttemptStore:
    """The port `AttemptStore`."""

    table: Table

    def add(self, state: str, attempt: Attempt) -> None:
        """Write one item; DynamoDB removes it a day after its end, or later."""
        key = attempt_key(state)
        self.table.put(
            AttemptItem(
                key.pk,
                key.sk,
                document=_document(attempt),
                kept=attempt.kept.reveal(),
                ends_at=int(attempt.expires_at.timestamp()),
                expires_at=int((attempt.expires_at + REMEMBERED).timestamp()),
            )
        )

    def get(self, state: str) -> Attempt | None:
        """Read the item."""
        item = self.table.get(AttemptItem, attempt_key(state))
        return _attempt(item) if item else None

    def take(self, state: str, *, owner: str, now: datetime) -> bool:
        """Mark the item where nobody has and its time is not over."""
        is_free = AttemptItem.taken_by.does_not_exist() | (AttemptItem.taken_by == owner)
        actions = [AttemptItem.taken_by.set(owner), AttemptItem.taken_at.set(now)]
        condition = is_free & (AttemptItem.ends_at > now.timestamp())
        return self.table.update(attempt_key(state), actions, condition) is not None

    def end(self, state: str, outcome: Outcome) -> None:
        """Write the outcome and drop the verifier; nothing where the item is gone by now."""
        self.table.update(
            attempt_key(state),
            [AttemptItem.outcome.set(asdict(outcome)), AttemptItem.kept.remove()],
            AttemptItem.pk.exists(),
        )


def _document(attempt: Attempt) -> dict[str, Any]:
    return {
        "v": 1,
        "tenant_id": attempt.tenant_id,
        "user_id": attempt.user_id,
        "is_admin": attempt.is_admin,
        "provider": attempt.provider,
        "client_id": attempt.client_id,
        "redirect_uri": attempt.redirect_uri,
        "return_url": attempt.return_url,
        "cookie_digest": attempt.cookie_digest,
        "mailbox_id": attempt.mailbox_id,
        "wishes": _wishes_document(attempt.wishes),
    }


def _attempt(item: AttemptItem) -> Attempt:
    document: Mapping[str, Any] = item.document
    return Attempt(
        tenant_id=TenantId(document["tenant_id"]),
        user_id=UserId(document["user_id"]),
        is_admin=document["is_admin"],
        provider=Provider(document["provider"]),
        client_id=document["client_id"],
        redirect_uri=document["redirect_uri"],
        return_url=document["return_url"],
        kept=Secret(item.kept or ""),
        cookie_digest=document["cookie_digest"],
        expires_at=datetime.fromtimestamp(item.ends_at, UTC),
        mailbox_id=_mailbox_id(document["mailbox_id"]),
        wishes=_wishes(document["wishes"]),
        taken_at=item.taken_at,
        outcome=_outcome(item.outcome) if item.outcome else None,
    )


def _wishes_document(wishes: Wishes) -> dict[str, Any]:
    granted = wishes.granted_to
    return {
        **asdict(wishes),
        "granted_to": None if granted is None else readers_value(granted),
    }


def _wishes(document: Mapping[str, Any]) -> Wishes:
    folders, owner = document["active_folders"], document["owner_user_id"]
    granted = document.get("granted_to")
    return Wishes(
        display_name=document["display_name"],
        reply_to=document["reply_to"],
        kind=MailboxKind(document["kind"]),
        purpose=Purpose(document["purpose"]),
        backfill_days=document["backfill_days"],
        active_folders=None if folders is None else tuple(FolderId(one) for one in folders),
        create_contacts=document["create_contacts"],
        # An attempt of before there was a choice.
        store=StoredMail(document.get("store", StoredMail.ALL)),
        visibility=Visibility(document["visibility"]),
        granted_to=None if granted is None else readers_of(granted),
        owner_user_id=None if owner is None else UserId(owner),
        recovery_note=document["recovery_note"],
    )


def _outcome(document: Mapping[str, Any]) -> Outcome:
    code = document["code"]
    return Outcome(
        mailbox_id=_mailbox_id(document["mailbox_id"]),
        code=None if code is None else stored_code(code),
        failure=document["failure"],
        admin_consent_url=document["admin_consent_url"],
    )


def _mailbox_id(text: str | None) -> MailboxId | None:
    return None if text is None else MailboxId(text)

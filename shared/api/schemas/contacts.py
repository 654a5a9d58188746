"""How contacts come in and are shown."""

from datetime import datetime
from typing import Annotated, cast

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from shared.api.field_errors import field_errors
from shared.api.schemas.fields import AddressText, Given, Name, Shown
from shared.domain.contact import MAX_ADDRESSES, Contact
from shared.domain.errors import ContactMergedError, ErrorCode, MailroomError, RequestError
from shared.domain.explanations import explain
from shared.operations.contacts import (
    MOST_ATTRIBUTE_NAME,
    MOST_ATTRIBUTE_VALUE,
    MOST_ATTRIBUTES,
    MOST_IN_A_BATCH,
    ContactResult,
    NewContact,
)

AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=MOST_ATTRIBUTE_NAME)]
AttributeValue = Annotated[str, StringConstraints(max_length=MOST_ATTRIBUTE_VALUE)]
Attributes = Annotated[dict[AttributeName, AttributeValue], Field(max_length=MOST_ATTRIBUTES)]


class PutContact(Given):
    """What a contact is to become; it replaces what is there."""

    name: Name = Field(examples=["Ann Example"])
    addresses: Annotated[list[AddressText], Field(max_length=MAX_ADDRESSES)] = Field(
        default_factory=list, examples=[["ann@example.org"]]
    )
    attributes: Attributes = Field(default_factory=dict)

    def to_new(self, contact_id: str) -> NewContact:
        """Return what the operation takes."""
        return NewContact(contact_id, self.name, self.addresses, self.attributes)


class MergeContact(Given):
    """Which contact becomes a part of another."""

    model_config = ConfigDict(populate_by_name=True)

    other: str = Field(alias="from", examples=["crm-43"])
    """The id of the contact that is to go."""
    from_version: Annotated[int, Field(ge=1)] | None = None
    """Its version, to merge only what you have read."""


class BatchContact(PutContact):
    """One contact of a batch: its id and what a single one has."""

    id: str


def _by_itself(given: object, read: ValidatorFunctionWrapHandler) -> "NewContact | ContactResult":
    """Read one contact of a batch; what cannot be read is its own result and nobody else's."""
    try:
        contact: BatchContact = read(given)
    except ValidationError as error:
        named = given.get("id") if isinstance(given, dict) else None
        fields = field_errors(error.errors())
        refused = RequestError(ErrorCode.INVALID_REQUEST, fields=fields)
        return ContactResult(named if isinstance(named, str) else "", error=refused)
    return contact.to_new(contact.id)


class PutContacts(Given):
    """Up to 100 contacts."""

    contacts: Annotated[
        list[Annotated[BatchContact, WrapValidator(_by_itself)]],
        Field(min_length=1, max_length=MOST_IN_A_BATCH),
    ]

    def to_many(self) -> "list[NewContact | ContactResult]":
        """Return what the operation takes: contacts, and results for those that cannot be read."""
        return cast("list[NewContact | ContactResult]", self.contacts)


class ContactShown(Shown):
    """A contact."""

    id: str
    name: str
    addresses: list[str]
    attributes: dict[str, str]
    merged: list[str]
    """The ids of contacts that were merged into this one."""
    made_from_mail: bool
    """Nobody put it at first: a mailbox with `create_contacts` had mail of an unknown sender."""
    version: int
    """Raised by every change; send it as `If-Match` to change only what you have read."""
    updated_at: datetime

    @classmethod
    def of(cls, contact: Contact) -> "ContactShown":
        """Show a contact."""
        return cls(
            id=contact.id,
            name=contact.name,
            addresses=list(contact.addresses),
            attributes=dict(contact.attributes),
            merged=list(contact.merged),
            made_from_mail=contact.made_from_mail,
            version=contact.version,
            updated_at=contact.updated_at,
        )


class ContactList(Shown):
    """Contacts, in order of id."""

    items: list[ContactShown]
    next: str | None


class RefusedField(Shown):
    """What is wrong with one field."""

    field: str
    message: str


class ContactRefused(Shown):
    """Why one contact of a batch was not taken."""

    code: ErrorCode
    message: str
    errors: list[RefusedField]
    merged_into: str | None
    """With `contact_merged`: the id of the contact it is a part of now."""

    @classmethod
    def of(cls, error: MailroomError) -> "ContactRefused":
        """Show an error in the words of its code."""
        fields = error.fields if isinstance(error, RequestError) else ()
        return cls(
            code=error.code,
            message=explain(error.code).message,
            errors=[RefusedField(field=field, message=message) for field, message in fields],
            merged_into=error.merged_into if isinstance(error, ContactMergedError) else None,
        )


class ContactResultShown(Shown):
    """How one contact of a batch fared: exactly one of `contact` and `error` is set."""

    id: str
    ok: bool
    contact: ContactShown | None
    error: ContactRefused | None

    @classmethod
    def of(cls, result: ContactResult) -> "ContactResultShown":
        """Show a result."""
        return cls(
            id=result.id,
            ok=result.error is None,
            contact=ContactShown.of(result.contact) if result.contact else None,
            error=ContactRefused.of(result.error) if result.error else None,
        )


class ContactResults(Shown):
    """A result for each contact of a batch, in its order."""

    items: list[ContactResultShown]

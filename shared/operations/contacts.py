"""How the CRM's contacts come in, one or many at a time, and go again.

Mail is never touched: it meets contacts by address when it is read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.addresses import canonical_address
from shared.domain.contact import MAX_ADDRESSES, MAX_MERGED, Contact
from shared.domain.errors import (
    AddressFullError,
    ConflictError,
    ContactMergedError,
    ErrorCode,
    MailroomError,
    RequestError,
)
from shared.domain.ids import Address, ContactId
from shared.domain.visibility import Viewer
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore

MOST_IN_A_BATCH = 100
MOST_NAME = 200
MOST_ATTRIBUTES = 50
MOST_ATTRIBUTE_NAME = 64
MOST_ATTRIBUTE_VALUE = 1_000
_TRIES = 5

# A path of one or two dots is another path to whoever resolves it, so no id may be one.
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:@+=-]{1,128}")


@dataclass(frozen=True, slots=True)
class NewContact:
    """What a contact is to become. The id is the CRM's own."""

    id: str
    name: str
    addresses: Sequence[str]
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ContactResult:
    """How one contact of a batch fared: exactly one of `contact` and `error` is set."""

    id: str
    contact: Contact | None = None
    error: MailroomError | None = None


def put_contact(
    viewer: Viewer,
    new: NewContact,
    *,
    expected_version: int | None = None,
    contacts: ContactStore,
    clock: Clock,
) -> Contact:
    """Create or replace a contact; `expected_version` 0 only creates, None does not ask.

    Raises `RequestError(INVALID_REQUEST)` naming the fields, `ConflictError(VERSION_CONFLICT)`, and
    `ContactMergedError`: an id that was merged is not used again by one who does not know of it.
    """
    addresses = _checked(new)
    contact = Contact(
        tenant_id=viewer.tenant_id,
        id=ContactId(new.id),
        name=new.name.strip(),
        addresses=addresses,
        updated_at=clock.now(),
        attributes=dict(new.attributes),
    )
    try:
        return contacts.put_contact(contact, expected_version=expected_version)
    except AddressFullError as error:
        written = map(canonical_address, new.addresses)
        position = next(at for at, one in enumerate(written) if one == error.address)
        raise AddressFullError(error.address, error.most, field=f"addresses.{position}") from error


def put_contacts(
    viewer: Viewer,
    many: Sequence[NewContact | ContactResult],
    *,
    contacts: ContactStore,
    clock: Clock,
) -> list[ContactResult]:
    """Create or replace up to 100 contacts, each by itself: one that is refused stops no other.

    Returns a result for each, in order; one that could not be read comes as its result already.
    """
    if not 1 <= len(many) <= MOST_IN_A_BATCH:
        reason = f"From 1 to {MOST_IN_A_BATCH} contacts at once."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("contacts", reason)])
    results = []
    done: set[str] = set()
    for new in many:
        if isinstance(new, ContactResult):
            results.append(new)
            continue
        try:
            if new.id in done:
                reason = "This id is in the batch twice; the first one was taken."
                raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("id", reason)])
            done.add(new.id)
            contact = put_contact(viewer, new, contacts=contacts, clock=clock)
            results.append(ContactResult(new.id, contact))
        except MailroomError as error:
            results.append(ContactResult(new.id, error=error))
    return results


def get_contact(viewer: Viewer, contact_id: ContactId, *, contacts: ContactStore) -> Contact:
    """Return one contact; raises `RequestError(CONTACT_NOT_FOUND)`, `ContactMergedError`."""
    contact = contacts.get_contact(viewer.tenant_id, contact_id_of_known_form(contact_id))
    if contact is None:
        raise RequestError(ErrorCode.CONTACT_NOT_FOUND)
    return contact


def list_contacts(
    viewer: Viewer, *, after: ContactId | None, limit: int, contacts: ContactStore
) -> tuple[list[Contact], ContactId | None]:
    """Return up to `limit` contacts in order of id, and the id to go on after.

    Or None at the end.
    """
    found = contacts.list_contacts(viewer.tenant_id, after=after, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def delete_contact(viewer: Viewer, contact_id: ContactId, *, contacts: ContactStore) -> None:
    """Delete a contact and the ids it has taken in. Its mail stays where it is.

    Raises `RequestError(CONTACT_NOT_FOUND)`, `ContactMergedError`.
    """
    if not contacts.delete_contact(viewer.tenant_id, contact_id_of_known_form(contact_id)):
        raise RequestError(ErrorCode.CONTACT_NOT_FOUND)


def merge_contacts(
    viewer: Viewer,
    contact_id: ContactId,
    other_id: ContactId,
    *,
    expected_version: int | None = None,
    expected_other_version: int | None = None,
    contacts: ContactStore,
    clock: Clock,
) -> Contact:
    """Make another contact a part of this one, and return it; done already, nothing changes.

    It keeps its name, and its own value where both have an attribute. The other's id, and those the
    other has taken in, lead here from now on. A version given has to be the one that stands.

    Raises `RequestError`: `CONTACT_NOT_FOUND`, or `INVALID_REQUEST` where the two are one or too
    much for one; `ContactMergedError` where either is a part of a third;
    `ConflictError(VERSION_CONFLICT)`.
    """
    contact_id, other_id = contact_id_of_known_form(contact_id), contact_id_of_known_form(other_id)
    if contact_id == other_id:
        raise _not_merged("A contact cannot be merged into itself.")
    for _ in range(_TRIES):
        into = get_contact(viewer, contact_id, contacts=contacts)
        if other_id in into.merged:
            return into
        other = _other(viewer, other_id, contacts=contacts)
        expected = (expected_version, into), (expected_other_version, other)
        if any(version not in {None, contact.version} for version, contact in expected):
            raise ConflictError(ErrorCode.VERSION_CONFLICT)
        merged = replace(_together(into, other), updated_at=clock.now(), version=into.version + 1)
        if contacts.merge_contacts(into, other, merged):
            return merged
    raise ConflictError(ErrorCode.VERSION_CONFLICT, cause="contacts change too fast to be merged")


def _other(viewer: Viewer, other_id: ContactId, *, contacts: ContactStore) -> Contact:
    try:
        return get_contact(viewer, other_id, contacts=contacts)
    except ContactMergedError as error:
        fields = [("from", "This contact was merged into another.")]
        raise ContactMergedError(error.merged_into, fields=fields) from error


def _together(into: Contact, other: Contact) -> Contact:
    both = replace(
        into,
        addresses=tuple(dict.fromkeys((*into.addresses, *other.addresses))),
        attributes={**other.attributes, **into.attributes},
        merged=(*into.merged, *other.merged, other.id),
    )
    for what, number, most in (
        ("addresses", len(both.addresses), MAX_ADDRESSES),
        ("attributes", len(both.attributes), MOST_ATTRIBUTES),
        ("merged contacts", len(both.merged), MAX_MERGED),
    ):
        if number > most:
            raise _not_merged(f"Together they have {number} {what}; one may have {most}.")
    return both


def _not_merged(reason: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_REQUEST, fields=[("from", reason)])


def contact_id_of_known_form(contact_id: ContactId) -> ContactId:
    """Refuse an id no contact can have before a store turns it into a key.

    Raises `RequestError(CONTACT_NOT_FOUND)`.
    """
    if not _ID.fullmatch(contact_id):
        raise RequestError(ErrorCode.CONTACT_NOT_FOUND)
    return contact_id


def _checked(new: NewContact) -> tuple[Address, ...]:
    refused: list[tuple[str, str]] = []
    if not _ID.fullmatch(new.id):
        refused.append(
            ("id", "1 to 128 letters, digits and any of . _ ~ : @ + = -, not . or .. alone.")
        )
    if not new.name.strip() or len(new.name) > MOST_NAME:
        refused.append(("name", f"From 1 to {MOST_NAME} characters."))
    if len(new.addresses) > MAX_ADDRESSES:
        refused.append(("addresses", f"At most {MAX_ADDRESSES} addresses."))
    if len(new.attributes) > MOST_ATTRIBUTES:
        refused.append(("attributes", f"At most {MOST_ATTRIBUTES} attributes."))
    for name, value in new.attributes.items():
        if not 1 <= len(name) <= MOST_ATTRIBUTE_NAME or len(value) > MOST_ATTRIBUTE_VALUE:
            reason = f"Names up to {MOST_ATTRIBUTE_NAME}, values to {MOST_ATTRIBUTE_VALUE} letters."
            refused.append(("attributes", reason))
            break
    addresses: dict[Address, None] = {}
    for position, text in enumerate(new.addresses):
        address = canonical_address(text)
        if address is None:
            refused.append((f"addresses.{position}", "This is not an e-mail address."))
        else:
            addresses[address] = None
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)
    return tuple(addresses)

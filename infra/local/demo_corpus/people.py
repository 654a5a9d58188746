"""Decides who appears in the demo's mail; the domains are reserved for examples (RFC 2606)."""

from __future__ import annotations

from dataclasses import dataclass

COMPANY = "Lumen & Rowe Lighting"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes: the name as shown, and the address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class DemoContact:
    """A customer in the demo's CRM.

    Attributes:
        contact_id: the CRM's own id, given by its user.
        name: as shown.
        company: whom they work for.
        addresses: all they write from, the usual one first.
        language: of their small talk: en, de, ja, ar or ru.
    """

    contact_id: str
    name: str
    company: str
    addresses: tuple[str, ...]
    language: str

    @property
    def person(self) -> Person:
        """The contact writing from the usual address."""
        return Person(self.name, self.addresses[0])


ADA = Person("Ada Quist", "ada@mailroom.example")
GRACE = Person("Grace Rowe", "grace@mailroom.example")

CONTACTS = (
    DemoContact(
        "keller", "Anna Keller", "Keller Optik GmbH", ("anna.keller@keller-optik.example",), "de"
    ),
    DemoContact(
        "baker",
        "Tom Baker",
        "Harbourside Café",
        ("tom@harbourside-cafe.example", "tom.baker@post.example"),
        "en",
    ),
    DemoContact("tanaka", "田中 由紀", "田中商事", ("yuki.tanaka@tanaka-shoji.example",), "ja"),
    DemoContact("haddad", "ليلى حداد", "Haddad Trading", ("layla@haddad-trading.example",), "ar"),
    DemoContact(
        "orlov", "Дмитрий Орлов", "Орлов Техника", ("d.orlov@orlov-teknika.example",), "ru"
    ),
)

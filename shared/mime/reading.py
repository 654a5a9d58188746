"""What every way of reading a message ends in, before it is cleaned and capped."""

from dataclasses import dataclass, field

from fast_mail_parser import PyLazyMail, PyMailMetadata

from shared.domain.message import ParsedAttachment

Mail = PyLazyMail | PyMailMetadata


@dataclass(slots=True)
class Content:
    """The leaves of a message: its bodies as text, and what is attached."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    html_leads: bool = False
    """The HTML stands before the plain text and beside it, so neither is a version of the other."""
    attachments: list[ParsedAttachment] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Return whether no leaf was found at all."""
        return not (self.plain or self.html or self.attachments)


@dataclass(slots=True)
class Reading:
    """A message read one way or another; `mail` is None where the fast parser refused."""

    mail: Mail | None
    header: bytes
    content: Content
    defects: list[str] = field(default_factory=list)


def is_inline(disposition: str | None, content_id: str | None) -> bool:
    """Return whether a leaf belongs to the body: it says so, or has an id and says nothing."""
    if disposition is None:
        return content_id is not None
    return disposition.lower() == "inline"

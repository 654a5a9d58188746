"""How a tenant's policy comes in and is shown."""

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.api.schemas.fields import Given, Shown
from shared.domain.addresses import MAX_ADDRESS_LENGTH
from shared.domain.policy import (
    MOST_BLOCKED,
    MOST_OWN_DOMAINS,
    Automated,
    Folding,
    TenantPolicy,
    checked_policy,
)

Entry = Annotated[str, StringConstraints(max_length=MAX_ADDRESS_LENGTH)]


class PutPolicy(Given):
    """What a tenant keeps out of its mail. It replaces what stands; what is left out is as here."""

    own_domains: Annotated[list[Entry], Field(max_length=MOST_OWN_DOMAINS)] = Field(
        default_factory=list, examples=[["example.com", "*.example.com"]]
    )
    """Your own domains. Mail in which only they are named is internal and left out; with none here
    nothing is. A domain is itself alone, `*.` before it is all that lies below it."""
    blocklist: Annotated[list[Entry], Field(max_length=MOST_BLOCKED)] = Field(
        default_factory=list,
        examples=[
            ["eve@spam.example", "ads.example", "*.ads.example", "newsletter-*@shop.example"]
        ],
    )
    """Addresses and domains whose mail is left out, and what goes to nobody else. `*` is any
    characters; a domain is itself alone, `*.` before it is all that lies below it."""
    automated: Automated = Automated.STORE
    """`skip` leaves out what machines send: lists, automatic answers, bounces, no-reply."""
    plus_tags: Folding = Folding.KEEP
    """`fold`: ann+news@example.org is ann@example.org, at every domain. Mail that a mailbox with
    `contacts_only` left at the provider before it was folded comes with the next import."""
    dots: Folding = Folding.KEEP
    """`fold`: a.nn@gmail.com is ann@gmail.com, and both the same at googlemail.com.
    Mail left at the provider before: as with `plus_tags`."""

    def to_policy(self) -> TenantPolicy:
        """Return it checked; raises `RequestError(INVALID_REQUEST)` naming the fields."""
        return checked_policy(
            own_domains=self.own_domains,
            blocklist=self.blocklist,
            automated=self.automated,
            plus_tags=self.plus_tags,
            dots=self.dots,
        )


class PolicyShown(Shown):
    """What a tenant keeps out of its mail, each entry as it is compared."""

    own_domains: list[str]
    blocklist: list[str]
    automated: Automated
    plus_tags: Folding
    dots: Folding
    version: int
    """Raised by every change, 0 before the first; send it as `If-Match`."""

    @classmethod
    def of(cls, policy: TenantPolicy) -> "PolicyShown":
        """Show a policy."""
        return cls(
            own_domains=list(policy.own_domains),
            blocklist=list(policy.blocklist),
            automated=policy.automated,
            plus_tags=policy.plus_tags,
            dots=policy.dots,
            version=policy.version,
        )

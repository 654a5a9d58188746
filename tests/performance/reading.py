"""Decides what is shown of reading: what a page of a timeline asks the table for, small and large.

Three tenants with the same contact: few messages in few mailboxes, few in many, and many in many. A
quarter of a tenant's mail is with the contact, in the same three mailboxes. Each request is priced as
`units` says. The figures must be equal, and it is an error where they are not.
"""

import os
from typing import Any

from tests.performance.units import FAKE_ACCOUNT

Figures = dict[str, Any]
AIM_REQUESTS = 2
FEW, MANY = 3, 300
_FEWEST = 600
"""So many have two pages with the contact, and entries enough behind them."""


def measure(messages: int) -> Figures:
    """Return requests and read units of pages, for `messages` and a hundredth of them."""
    os.environ.update(FAKE_ACCOUNT)
    # After the account: botocore reads it when a client is made.
    from tests.performance.reading_run import run

    small = max(messages // 100, _FEWEST)
    return run([(small, FEW), (small, MANY), (max(messages, small), MANY)])


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    found = []
    for one in figures["tenants"]:
        of_what = f"{one['messages']:,} messages in {one['mailboxes']} mailboxes"
        for name, page in one["pages"].items():
            requests = f"{page['requests']} (and {page['for_contact']} for the contact)"
            found += [
                (f"{name} of 25, {of_what}: requests", requests, f"≤ {AIM_REQUESTS}"),
                ("read units", f"{page['units']:.1f}", "the same in all"),
            ]
    return found

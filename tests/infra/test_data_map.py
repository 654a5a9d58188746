"""infra/data.md leaves out nothing that is stored, and names nothing that is not."""

import pytest

from infra.local.paths import REPOSITORY
from shared.aws import stored_objects
from tests.infra.stored_kinds import CODE, TABLES, keys_of, rows

PAGE = (REPOSITORY / "infra" / "data.md").read_text(encoding="utf-8")


def mapped():
    """The same pairs as the page has them; an empty cell repeats the one above."""
    above = []
    for row in rows(PAGE.partition("## The table")[2].partition("## The bucket")[0]):
        if len(row) == 5:
            above = CODE.findall(row[0]) or above
            yield from ((pk, sk) for pk in above for sk in CODE.findall(row[1]))


@pytest.mark.parametrize("module", TABLES, ids=lambda path: path.stem)
def test_every_kind_of_item_is_in_the_data_map(module):
    kinds = set(keys_of(module))
    assert kinds, "its first words have no table of keys"
    assert kinds - set(mapped()) == set()


def test_the_data_map_names_no_item_that_there_is_not():
    known = {pair for module in TABLES for pair in keys_of(module)}
    # A row names two partitions at once where both have the same sort keys.
    assert {sk for _, sk in mapped()} == {sk for _, sk in known}
    assert {pk for pk, _ in mapped()} == {pk for pk, _ in known}


def test_every_kind_of_object_is_in_the_data_map():
    told = {name for row in rows(stored_objects.__doc__) for name in CODE.findall(row[-1])}
    section = PAGE.partition("## The bucket")[2].partition("## Elsewhere")[0]
    assert told == {name for row in rows(section) for name in CODE.findall(row[0])}
    prefixes = [
        value
        for name, value in vars(stored_objects).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str)
    ]
    assert {name.split("/")[0] for name in told} == {one.split("/")[0] for one in prefixes}


def test_what_goes_by_itself_goes_when_the_data_map_says():
    from shared.aws import counts, rate_limits, send_items, sender_contacts
    from shared.domain import contact_history
    from shared.domain.erasure import BACKUP_DAYS

    assert f"{send_items.KEPT_DAYS} days after it ended" in PAGE
    assert f"| {sender_contacts._COUNT_LASTS.days} days |" in PAGE
    assert f"| {contact_history.LOG_LASTS.days} days; erased |" in PAGE
    assert f"| {BACKUP_DAYS} days: so long" in PAGE
    assert rate_limits._KEPT.days == counts._KEPT.days == 1

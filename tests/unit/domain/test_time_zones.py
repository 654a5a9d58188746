import sys
from datetime import UTC, datetime
from zoneinfo import TZPATH, ZoneInfo, reset_tzpath

import pytest

from shared.domain.contents import Moment
from shared.domain.time_zones import _OF_WINDOWS, instant_of


@pytest.mark.parametrize(
    ("local", "zone", "at"),
    [
        ("2026-07-01T10:00:00", "UTC", "2026-07-01T10:00:00"),
        ("2026-07-01T10:00:00", "Europe/Berlin", "2026-07-01T08:00:00"),
        ("2026-12-01T10:00:00", "W. Europe Standard Time", "2026-12-01T09:00:00"),
        ("2026-07-01T10:00:00", "W. Europe Standard Time", "2026-07-01T08:00:00"),
        ("2026-07-01T10:00:00", "Eastern Standard Time", "2026-07-01T14:00:00"),
        ("2026-07-01T10:00:00", "India Standard Time", "2026-07-01T04:30:00"),
        ("2026-07-01T10:00:00", "America/Argentina/Buenos_Aires", "2026-07-01T13:00:00"),
        # Twice that night, and not at all that night.
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00"),
        ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00"),
    ],
)
def test_a_calendars_time_is_an_instant_where_its_zone_is_known(local, zone, at):
    assert instant_of(Moment(local, zone)) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "zone",
    [
        None, "", "Customized Time Zone", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "posixrules",
        "right/UTC", "Europe/../../passwd", "\0", "Europe/Berlin\n", "A" * 100, "(UTC+01:00) Amsterdam, Berlin", "Ünited/Ä",
    ],
)  # fmt: skip
def test_of_an_unknown_zone_no_instant_is_told(zone):
    assert instant_of(Moment("2026-07-01T10:00:00", zone)) is None


def test_a_whole_day_and_the_ends_of_time_are_no_instants():
    assert instant_of(Moment("2026-07-01", "Europe/Berlin")) is None
    assert instant_of(Moment("9999-12-31T23:59:59", "America/New_York")) is None
    assert instant_of(Moment("0001-01-01T00:00:00", "Asia/Tokyo")) is None


@pytest.fixture
def no_database(monkeypatch):
    """A system without zones' files, and without the package that could stand for them."""
    stood = TZPATH
    monkeypatch.setitem(sys.modules, "tzdata", None)
    ZoneInfo.clear_cache()
    reset_tzpath(())
    yield
    reset_tzpath(stood)
    ZoneInfo.clear_cache()


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC"])
def test_without_a_database_utc_is_known_and_no_other_zone(no_database, zone):
    at = datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert instant_of(Moment("2026-07-01T10:00:00", zone)) == at
    assert instant_of(Moment("2026-07-01T10:00:00", "Europe/Berlin")) is None


@pytest.mark.parametrize("name", sorted(_OF_WINDOWS))
def test_each_name_of_windows_is_a_zone_of_the_database(name):
    assert ZoneInfo(_OF_WINDOWS[name]).utcoffset(datetime(2026, 7, 1)) is not None

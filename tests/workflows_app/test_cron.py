"""When a cron expression is due, also where clocks are put forward and back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_app import cron

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text):
    """A moment, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def runs(expression, zone, after, count):
    """The next so many moments, as they follow from each other."""
    found, moment = [], at(after)
    for _ in range(count):
        moment = cron.next_run(expression, zone, moment)
        found.append(moment.strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "following"),
    [
        ("* * * * *", "2026-05-01T12:00:00", "2026-05-01T12:01:00"),
        ("* * * * *", "2026-05-01T12:00:59.999999", "2026-05-01T12:01:00"),
        ("*/15 8-18 * * MON-FRI", "2026-05-01T18:45:00", "2026-05-04T08:00:00"),
        ("0 0 1 1 *", "2026-05-01T00:00:00", "2027-01-01T00:00:00"),
        ("30 4 29 2 *", "2026-05-01T00:00:00", "2028-02-29T04:30:00"),
        ("0 12 L * *", "2026-02-01T00:00:00", "2026-02-28T12:00:00"),
        ("0 12 * * FRI#2", "2026-05-01T00:00:00", "2026-05-08T12:00:00"),
        ("@daily", "2026-05-01T00:00:00", "2026-05-02T00:00:00"),
        ("@hourly", "2026-05-01T00:00:00", "2026-05-01T01:00:00"),
        ("@weekly", "2026-05-01T00:00:00", "2026-05-03T00:00:00"),
        ("@monthly", "2026-05-01T00:00:00", "2026-06-01T00:00:00"),
        ("@yearly", "2026-05-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_the_next_moment(expression, after, following):
    assert cron.next_run(expression, "UTC", at(after)) == at(following)


def test_a_time_of_day_is_the_zones():
    assert runs("0 9 * * *", NEW_YORK, "2026-01-10T00:00", 1) == ["01-10 14:00"]
    assert runs("0 9 * * *", NEW_YORK, "2026-07-10T00:00", 1) == ["07-10 13:00"]
    assert runs("0 9 * * *", "Asia/Kathmandu", "2026-07-10T00:00", 1) == ["07-10 03:15"]


def test_a_time_that_is_skipped_in_spring_comes_right_after_the_gap_and_once():
    # On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00, which is 01:00 UTC.
    assert runs("30 2 * * *", BERLIN, "2026-03-28T00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert runs("0 3 * * *", BERLIN, "2026-03-28T12:00", 2) == ["03-29 01:00", "03-30 01:00"]


def test_a_time_that_comes_twice_in_autumn_counts_once():
    # On 25 October 2026 they go from 03:00 back to 02:00, which is 01:00 UTC.
    assert runs("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]
    assert runs("0,30 2 * * *", BERLIN, "2026-10-24T12:00", 4) == [
        "10-25 00:00",
        "10-25 00:30",
        "10-26 01:00",
        "10-26 01:30",
    ]


def test_within_the_second_of_two_equal_hours_nothing_of_the_first_is_told():
    assert runs("30 2 * * *", BERLIN, "2026-10-25T01:10", 1) == ["10-26 01:30"]


def test_what_goes_by_the_hour_or_the_minute_goes_by_real_time():
    assert runs("0 * * * *", BERLIN, "2026-03-29T00:00", 3) == ["03-29 01:00", "03-29 02:00", "03-29 03:00"]
    assert runs("0 * * * *", BERLIN, "2026-10-24T23:30", 3) == ["10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert runs("*/30 * * * *", BERLIN, "2026-10-25T00:00", 3) == ["10-25 00:30", "10-25 01:00", "10-25 01:30"]


def test_a_zone_whose_clocks_go_by_half_an_hour():
    # On 5 April 2026 Lord Howe's go from 02:00 back to 01:30, which is 15:00 UTC the day before.
    assert runs("45 1 * * *", LORD_HOWE, "2026-04-04T00:00", 2) == ["04-04 14:45", "04-05 15:15"]
    # On 4 October they go from 02:00 to 02:30.
    assert runs("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", 2) == ["10-03 15:30", "10-04 15:15"]


def test_a_midnight_that_is_skipped():
    # Santiago's clocks go from 24:00 to 01:00 on 6 September 2026, which is 04:00 UTC.
    assert runs("0 0 * * *", "America/Santiago", "2026-09-05T12:00", 2) == ["09-06 04:00", "09-07 03:00"]


BAD = {
    "x": "five fields",
    "* * * *": "five fields",
    "0 * * * * *": "five fields",
    "@reboot": "five fields",
    "* " * 60: "five fields",
    "60 * * * *": "bad minute",
    "* 24 * * *": "bad hour",
    "* * 0 * *": "bad day-of-month",
    "* * * 13 *": "bad month",
    "* * * * 8": "bad day-of-week",
    "*/0 * * * *": "bad minute",
    "5-1 * * * *": "bad minute",
    "²/2 * * * *": "bad minute",
    "0 0 30 2 *": "bad day-of-month",
    "0 0 31 4,6 *": "bad day-of-month",
}


@pytest.mark.parametrize("expression", BAD)
def test_what_cannot_be_read_is_refused_with_the_field(expression):
    with pytest.raises(cron.BadCron, match=BAD[expression]):
        cron.check(expression)


def test_zones_are_those_of_the_iana_and_no_files():
    assert {"UTC", BERLIN, "Etc/GMT+5", LORD_HOWE} <= cron.zones()
    assert not {"Europe", "localtime", "posixrules", "Factory", "tzdata.zi", "posix/UTC", ""} & cron.zones()


_FIELD = st.text("0123456789*/-,LW# SUNJAN²", max_size=8)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.one_of(st.text(max_size=110), st.lists(_FIELD, min_size=5, max_size=5).map(" ".join)))
def test_whatever_is_written_is_read_or_refused(text):
    try:
        cron.check(text)
    except cron.BadCron:
        return
    after = at("2026-03-29T00:00")
    assert after < cron.next_run(text, BERLIN, after) < after + timedelta(days=366 * 41)

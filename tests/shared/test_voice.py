"""The hours of calls."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.voice import VoiceHours

CHINA = timezone(timedelta(hours=8))
HOURS = VoiceHours.parse("07:30-22:00")
MOBILE, FOREIGN = "13800000000", "+447400123456"


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=CHINA)


@pytest.mark.parametrize("moment", [at(2, 7, 30), at(2, 12), at(2, 21, 59, 59)])
def test_by_day_a_mainland_number_is_called_at_once(moment: datetime) -> None:
    assert HOURS.opening(MOBILE, moment) == moment
    assert HOURS.opening(MOBILE, moment.astimezone(UTC)) == moment


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        (at(2, 22), at(3, 7, 30)), (at(2, 23, 59, 59), at(3, 7, 30)), (at(3, 0), at(3, 7, 30)),
        (at(3, 7, 29, 59), at(3, 7, 30)), (at(31, 22), at(31, 7, 30) + timedelta(days=1)),
    ],
)  # fmt: skip
def test_at_night_it_is_called_from_the_morning_on(moment: datetime, opening: datetime) -> None:
    assert HOURS.opening(MOBILE, moment) == opening
    assert HOURS.opening(MOBILE, moment.astimezone(UTC)) == opening


def test_a_foreign_number_is_called_at_any_time() -> None:
    assert HOURS.opening(FOREIGN, at(2, 3)) == at(2, 3)


def test_a_whole_day_has_no_night() -> None:
    for hour in range(24):
        assert VoiceHours.parse("00:00-24:00").opening(MOBILE, at(2, hour)) == at(2, hour)


@pytest.mark.parametrize("text", ["07:30-22:00", "00:00-24:00"])
def test_hours_are_shown_as_they_are_written(text: str) -> None:
    assert str(VoiceHours.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "7:30-22:00", "22:00-07:30", "07:30-24:01", "07:30-29:00", "07:60-22:00", "07:30", "08:00-08:00"],
)
def test_malformed_hours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        VoiceHours.parse(text)

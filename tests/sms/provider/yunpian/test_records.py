"""Records that mask, lack or shift what a message is recognised by: never "not sent" where it may be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sms.provider.base import NOT_FOUND, UNAVAILABLE, UNCLEAR, SearchResult, SearchStatus
from services.sms.provider.yunpian.records import find, format_time, query
from tests.support.provider import MOBILE, TEXT, outgoing

SINCE = datetime(2026, 3, 1, 1, 30, 0, 500_000, tzinfo=UTC)
UNTIL = SINCE + timedelta(seconds=65)
FOUND = SearchResult(SearchStatus.FOUND, "7")
OTHER_TEXT = "【Dialpass】您的验证码是654321。如非本人操作，请忽略本短信"


def record(at: timedelta = timedelta(seconds=1), **members: Any) -> dict[str, Any]:
    known = {"sid": "7", "uid": None, "mobile": MOBILE, "text": TEXT, "send_status": "SUCCESS"}
    return {**known, "send_time": format_time(SINCE + at), **members}


def search(*records: Any, mobile: str = MOBILE) -> SearchResult:
    return find(list(records), outgoing(mobile), SINCE, UNTIL)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"text": "【Dialpass】您的验证码是******"},
        {"mobile": "138****0000"},
        {"send_time": "2026-03-01"},
        {"at": timedelta(hours=-8)},
        {"text": OTHER_TEXT, "mobile": None},
    ],
)
def test_the_uid_decides_first(changed: dict[str, Any]) -> None:
    assert search(record(uid="another", sid="6"), record(**{"uid": "a-message", **changed})) == FOUND


def test_a_message_with_another_uid_is_another_one_although_the_text_is_the_same() -> None:
    assert search(record(uid="another")) == NOT_FOUND


@pytest.mark.parametrize("hours", [0, -8, 8, -16, -5.75, 5.5])
def test_without_a_uid_the_same_text_is_found_in_any_time_zone(hours: float) -> None:
    assert search(record(timedelta(hours=hours, seconds=1))) == FOUND


@pytest.mark.parametrize(
    "changed",
    [
        {"text": OTHER_TEXT},
        {"text": "【Dialpass】您的验证码是******"},
        {"text": None},
        {"mobile": "138****0000"},
        {"mobile": "138******00"},
        {"mobile": "138***0000"},  # not as many as the digits are
        {"text": OTHER_TEXT, "at": timedelta(hours=-8)},
        {"text": OTHER_TEXT, "send_time": "gestern"},
        {"text": OTHER_TEXT, "mobile": None},
        {"text": OTHER_TEXT, "mobile": "8613800000000"},
    ],
)
def test_without_a_uid_whatever_may_be_the_message_is_unclear(changed: dict[str, Any]) -> None:
    assert search(record(**changed)) == UNCLEAR


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(mobile="13900000000")],  # of a server that ignores the number asked for
        [record(mobile="139****0000")],
        [record(text=OTHER_TEXT, at=timedelta(minutes=-7))],  # the code before
        [record(send_status="FAIL")],
        [record(uid="a-message", send_status="FAIL")],
    ],
)
def test_what_cannot_be_the_message_is_not_found(records: list[Any]) -> None:
    assert search(*records) == NOT_FOUND


def test_a_full_page_may_have_left_the_record_out() -> None:
    assert search(*[record(uid="another")] * 99) == NOT_FOUND
    assert search(*[record(uid="another")] * 100) == UNCLEAR


@pytest.mark.parametrize("mobile", ["+447400123456", "447400123456", "00447400123456", "+44*****23456"])
def test_a_foreign_number_may_be_written_in_any_way(mobile: str) -> None:
    assert search(record(mobile=mobile, text=OTHER_TEXT), mobile="+447400123456") == UNCLEAR


def test_what_is_no_list_of_records_says_nothing() -> None:
    assert find({"code": 0}, outgoing(), SINCE, UNTIL) == UNAVAILABLE
    assert search("not a record") == UNCLEAR


def test_all_time_zones_are_searched() -> None:
    form = query(MOBILE, SINCE, UNTIL)
    assert (form["start_time"], form["end_time"]) == ("2026-02-28 07:29:55", "2026-03-02 11:31:10")

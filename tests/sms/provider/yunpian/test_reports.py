"""Parsing Yunpian's status reports, as they are pushed and pulled."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest

from services.sms.provider.yunpian.reports import UnreadableReports, parse_items, parse_push
from services.sms.reports.models import StatusReport
from tests.support.clock import NOW

DELIVERED: dict[str, Any] = {
    "sid": 9527, "uid": None, "mobile": "15205201314", "report_status": "SUCCESS", "error_msg": "DELIVRD",
    "error_detail": "", "user_receive_time": "2026-01-02 11:04:05",
}  # fmt: skip
FAILED = DELIVERED | {"sid": "9528", "report_status": "FAIL", "error_msg": "DB:0103"}
RECEIVED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_pushed_array_is_read() -> None:
    batch = parse_push(json.dumps([DELIVERED, FAILED]), NOW)
    assert batch.reports == [
        StatusReport("9527", "delivered", "", RECEIVED),
        StatusReport("9528", "failed", "DB:0103", RECEIVED),
    ]
    assert batch.unreadable == 0


def test_an_array_that_was_encoded_once_more_is_read_alike() -> None:
    plain = json.dumps([DELIVERED | {"error_detail": "100% + 号码"}, FAILED])
    assert parse_push(quote_plus(plain), NOW) == parse_push(plain, NOW)


def test_an_empty_array_holds_no_reports() -> None:
    assert parse_push("[]", NOW).reports == []


@pytest.mark.parametrize("time", [None, "", "yesterday", 5, "2026-13-01 00:00:00"])
def test_a_time_that_cannot_be_read_is_the_time_of_the_report(time: Any) -> None:
    assert parse_items([DELIVERED | {"user_receive_time": time}], NOW).reports[0].at == NOW


@pytest.mark.parametrize("code", [None, "", 7, "号码 13800000000 已停机", "x" * 33])
def test_content_in_place_of_a_carriers_code_is_not_kept(code: Any) -> None:
    assert parse_items([FAILED | {"error_msg": code}], NOW).reports[0].code == "other"


@pytest.mark.parametrize(
    "item",
    [
        None, 1, "report", [], {}, {"sid": 1}, DELIVERED | {"sid": None}, DELIVERED | {"sid": True},
        DELIVERED | {"sid": 1.5}, DELIVERED | {"sid": "\ud800"}, DELIVERED | {"sid": "a b"},
        DELIVERED | {"sid": "9" * 65}, DELIVERED | {"report_status": ["SUCCESS"]},
    ],
)  # fmt: skip
def test_an_item_that_is_not_a_report_is_left_out_and_counted(item: Any) -> None:
    batch = parse_items([item, DELIVERED], NOW)
    assert [report.sid for report in batch.reports] == ["9527"]
    assert batch.unreadable == 1


@pytest.mark.parametrize(
    "value",
    [
        "", "garbage", "{}", "null", "1", '"[]"', "%5B", "[", "[" * 100_000, "[" + "9" * 5000 + "]",
        "[{}]", "[null, 1]", "%", "\x00",
    ],
)  # fmt: skip
def test_a_value_without_reports_is_refused_without_quoting_it(value: str) -> None:
    with pytest.raises(UnreadableReports) as refusal:
        parse_push(value, NOW)
    assert str(refusal.value) in {"not an array", "no item is a report"}


@pytest.mark.parametrize("status", ["UNKNOWN", "unknown", " UNKNOWN "])
def test_a_report_that_nothing_is_known_is_no_garbage(status: str) -> None:
    open_report = DELIVERED | {"report_status": status, "error_msg": None, "user_receive_time": None}
    batch = parse_push(json.dumps([open_report, open_report]), NOW)
    assert (batch.reports, batch.unreadable, batch.undecided) == ([], 0, 2)
    mixed = parse_push(json.dumps([open_report, DELIVERED, None]), NOW)
    assert (len(mixed.reports), mixed.unreadable, mixed.undecided, mixed.size) == (1, 1, 1, 3)


def test_one_report_can_come_without_an_array() -> None:
    assert parse_push(json.dumps(DELIVERED), NOW) == parse_push(json.dumps([DELIVERED]), NOW)
    assert parse_items(FAILED, NOW) == parse_items([FAILED], NOW)
    assert parse_push(quote_plus(json.dumps(DELIVERED)), NOW).reports[0].sid == "9527"


@pytest.mark.parametrize("error_msg", ["DELIVRD", "", None, "0"])
def test_the_carriers_word_for_a_success_is_no_error(error_msg: str | None) -> None:
    delivered = DELIVERED | {"error_msg": error_msg, "error_detail": "接收成功"}
    assert parse_items([delivered], NOW).reports == [StatusReport("9527", "delivered", "", RECEIVED)]

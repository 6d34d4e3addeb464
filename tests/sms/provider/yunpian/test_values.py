"""The types in Yunpian's JSON, which differ by account and call."""

from decimal import Decimal
from typing import Any

import pytest

from services.sms.provider.yunpian.values import read_code, read_items, read_sid, read_unit


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (0, 0), ("0", 0), (-51, -51), ("-51", -51), (" 5 ", 5), ("+5", 5), (Decimal("5.0"), 5), ("8.00", 8),
        (None, None), ("", None), ("five", None), (True, None), (Decimal("5.5"), None), ([], None),
        ("٥", None), ("9" * 10, None),
    ],
)  # fmt: skip
def test_a_code_is_read_as_a_number(code: Any, read: int | None) -> None:
    assert read_code({"code": code}) == read


@pytest.mark.parametrize("document", [None, [], "0", {}, {"msg": "发送成功"}])
def test_without_a_code_there_is_none(document: Any) -> None:
    assert read_code(document) is None


@pytest.mark.parametrize(
    ("document", "sid"),
    [
        ({"sid": 3310228982}, "3310228982"), ({"sid": "3310228982"}, "3310228982"), ({"sid": " a1 "}, "a1"),
        ({"sid": None}, ""), ({}, ""), ({"sid": ""}, ""), ({"sid": True}, ""), ({"sid": 1.5}, ""),
        ({"sid": ["1"]}, ""), ({"sid": "x" * 65}, ""),
    ],
)  # fmt: skip
def test_a_sid_is_text_and_empty_where_there_is_none(document: dict[str, Any], sid: str) -> None:
    assert read_sid(document) == sid


def test_one_item_may_come_without_its_array() -> None:
    assert read_items({"sid": 1}, "sid") == [{"sid": 1}]
    assert read_items([{"sid": 1}], "sid") == [{"sid": 1}]
    assert read_items({"code": 0}, "sid") is None
    assert read_items("[]", "sid") is None


@pytest.mark.parametrize(
    ("unit", "read"), [("RMB", "RMB"), ("rmb", "RMB"), ("COUNT", "COUNT"), (None, ""), (1, "")]
)
def test_a_unit_is_read_whatever_its_case(unit: Any, read: str) -> None:
    assert read_unit({"unit": unit}) == read

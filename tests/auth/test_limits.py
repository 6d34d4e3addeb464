"""Limits as text."""

import pytest

from services.auth.limits import Limit, by_dial_code, of_dial_code, parse_limits

HOUR, DAY = 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("3/hour,5/day", (Limit(3, HOUR), Limit(5, DAY))),
        ("10/10minutes", (Limit(10, 600_000),)),
        ("0/day", (Limit(0, DAY),)),
        (" 1 per second ", (Limit(1, 1000),)),
    ],
)
def test_limits_are_read_from_text(text: str, limits: tuple[Limit, ...]) -> None:
    assert parse_limits(text) == limits


@pytest.mark.parametrize("text", ["", "3", "3/", "3/fortnight", "-1/day", "3/hour,", "many/day"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_limits(text)


def test_what_no_dial_code_names_is_that_of_all_others() -> None:
    values = by_dial_code(int)("86=1, *=2")
    assert [of_dial_code(values, code) for code in ("86", "1", "44")] == [1, 2, 2]


@pytest.mark.parametrize("text", ["86=1", "*=x", "CN=1,*=2", "", "1"])
def test_a_list_without_the_others_or_with_a_name_for_a_dial_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        by_dial_code(int)(text)

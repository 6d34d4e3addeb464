"""The table of error codes against the list that it was made from, code by code."""

import pytest

from services.sms.provider.base import DuplicateHint, SendStatus
from services.sms.provider.yunpian.error_codes import RULES, ErrorClass, find_rule

ACCEPTED, RETRY, THROTTLED = ErrorClass.ACCEPTED, ErrorClass.RETRY, ErrorClass.THROTTLED
UNKNOWN, LIMIT, MSG = ErrorClass.UNKNOWN_OUTCOME, ErrorClass.NUMBER_LIMIT, ErrorClass.REJECTED
REQ, ACC = ErrorClass.REQUEST_ERROR, ErrorClass.ACCOUNT_ERROR
LISTED = {
    0: ACCEPTED, 1: REQ, 2: MSG, 3: ACC, 4: REQ, 5: ACC, 6: ACC, 7: ACC, 8: LIMIT, 9: LIMIT, 10: MSG, 11: MSG,
    12: REQ, 13: REQ, 14: REQ, 15: ACC, 16: ACC, 17: LIMIT, 18: ACC, 19: ACC, 20: MSG, 21: ACC, 22: LIMIT,
    23: MSG, 24: ACC, 25: REQ, 26: ACC, 27: ACC, 28: MSG, 33: LIMIT, 34: ACC, 40: ACC, 43: LIMIT, 48: REQ,
    52: REQ, 53: LIMIT, 55: ACC, 56: MSG, 58: REQ, 60: ACC,
    -1: ACC, -2: ACC, -3: ACC, -4: THROTTLED, -5: THROTTLED, -6: ACC, -7: ACC, -8: ACC, -11: ACC,
    -50: UNKNOWN, -51: UNKNOWN, -52: ACC, -53: UNKNOWN, -54: ACC, -55: ACC, -56: ACC, -57: ACC, -62: ACC,
}  # fmt: skip


@pytest.mark.parametrize(("code", "error_class"), LISTED.items())
def test_a_code_has_its_listed_class(code: int, error_class: ErrorClass) -> None:
    assert RULES[code].error_class is error_class


def test_no_code_is_missing_or_added() -> None:
    assert set(RULES) == set(LISTED)


@pytest.mark.parametrize(
    ("error_class", "status", "alerts"),
    [
        (ACCEPTED, SendStatus.ACCEPTED, False),
        (RETRY, SendStatus.RETRY, False),
        (THROTTLED, SendStatus.DEFERRED, False),
        (UNKNOWN, SendStatus.UNKNOWN, False),
        (MSG, SendStatus.REJECTED, False),
        (REQ, SendStatus.REJECTED, True),
        (LIMIT, SendStatus.LIMITED, False),
        (ACC, SendStatus.DEFERRED, True),
        (ErrorClass.UNKNOWN_CODE, SendStatus.UNKNOWN, True),
    ],
)
def test_a_class_has_its_status(error_class: ErrorClass, status: SendStatus, *, alerts: bool) -> None:
    assert (error_class.status, error_class.alerts) == (status, alerts)


def test_an_unknown_code_is_a_doubt_and_alerts() -> None:
    rule = find_rule(4711)

    assert rule.error_class is ErrorClass.UNKNOWN_CODE


@pytest.mark.parametrize(
    ("code", "seconds", "hint"),
    [
        (8, 30, DuplicateHint.CERTAIN),
        (9, 300, DuplicateHint.CERTAIN),
        (17, 86_400, DuplicateHint.LIKELY),
        (22, 3_600, DuplicateHint.LIKELY),
        (33, 30, DuplicateHint.LIKELY),
        (43, 86_400, DuplicateHint.LIKELY),
        (53, 0, DuplicateHint.LIKELY),
    ],
)
def test_a_limit_says_how_long_and_whether_the_text_was_sent(
    code: int, seconds: int, hint: DuplicateHint
) -> None:
    assert (RULES[code].limit_duration.total_seconds(), RULES[code].duplicate_hint) == (seconds, hint)


def test_only_limits_hint_at_an_earlier_message() -> None:
    hinting = {code for code, rule in RULES.items() if rule.duplicate_hint is not DuplicateHint.NONE}

    assert hinting == {code for code, error_class in LISTED.items() if error_class is LIMIT}


@pytest.mark.parametrize(
    ("code", "message", "error_class"),
    [
        (2, "参数 mobile 格式不正确，mobile:189194884497", ErrorClass.REJECTED),
        (2, "参数 text 格式不正确", ErrorClass.REQUEST_ERROR),
        (11, "用户手机号防骚扰", ErrorClass.REJECTED),
        (11, "接口不支持GET方式调用", ErrorClass.REQUEST_ERROR),
    ],
)
def test_the_words_tell_two_meanings_of_a_code_apart(
    code: int, message: str, error_class: ErrorClass
) -> None:
    assert find_rule(code, message).error_class is error_class

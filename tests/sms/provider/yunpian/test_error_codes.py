"""The code table against the list that it was made from, code by code."""

import pytest

from services.sms.provider.base import Filtered, Verdict
from services.sms.provider.yunpian.error_codes import CODES, Class, find_rule

D, R, P, L, O, PO = "D", "R", "P", "L", "O", "P+O"  # noqa: E741 - the list's own letters
PACE, DOUBT = "R, account-wide", "R, in doubt"
LISTED = {
    0: D, 1: PO, 2: P, 3: O, 4: PO, 5: O, 6: O, 7: O, 8: L, 9: L, 10: P, 11: P, 12: PO, 13: PO, 14: PO,
    15: O, 16: O, 17: L, 18: O, 19: O, 20: P, 21: O, 22: L, 23: P, 24: O, 25: PO, 26: O, 27: O, 28: P,
    33: L, 34: O, 40: O, 43: L, 48: PO, 52: PO, 53: L, 55: O, 56: P, 58: PO, 60: O,
    -1: O, -2: O, -3: O, -4: PACE, -5: PACE, -6: O, -7: O, -8: O, -11: O,
    -50: DOUBT, -51: R, -52: O, -53: R, -54: O, -55: O, -56: O, -57: O, -62: O,
}  # fmt: skip


@pytest.mark.parametrize(("code", "letter"), LISTED.items())
def test_a_code_has_its_listed_class(code: int, letter: str) -> None:
    assert CODES[code].class_ == letter


def test_no_code_is_missing_or_added() -> None:
    assert set(CODES) == set(LISTED)


@pytest.mark.parametrize(
    ("letter", "verdict", "alerts"),
    [
        (D, Verdict.ACCEPTED, False),
        (R, Verdict.RETRY, False),
        (PACE, Verdict.HALTED, False),
        (DOUBT, Verdict.AMBIGUOUS, False),
        (P, Verdict.PERMANENT, False),
        (PO, Verdict.PERMANENT, True),
        (L, Verdict.LIMITED, False),
        (O, Verdict.HALTED, True),
        ("R once, then P+O", Verdict.RETRY, True),
    ],
)
def test_a_class_has_its_verdict(letter: str, verdict: Verdict, alerts: bool) -> None:  # noqa: FBT001
    assert (Class(letter).verdict, Class(letter).alerts) == (verdict, alerts)


def test_an_unknown_code_is_tried_again_and_alerts() -> None:
    rule = find_rule(4711)

    assert rule.class_ is Class.UNKNOWN


@pytest.mark.parametrize(
    ("code", "seconds", "filtered"),
    [
        (8, 30, Filtered.STRONG),
        (9, 300, Filtered.STRONG),
        (17, 86_400, Filtered.WEAK),
        (22, 3_600, Filtered.WEAK),
        (33, 30, Filtered.WEAK),
        (43, 86_400, Filtered.WEAK),
        (53, 0, Filtered.WEAK),
    ],
)
def test_a_limit_says_how_long_and_whether_the_text_was_sent(
    code: int, seconds: int, filtered: Filtered
) -> None:
    assert (CODES[code].lasts.total_seconds(), CODES[code].filtered) == (seconds, filtered)


def test_only_limits_hint_at_an_earlier_message() -> None:
    hinting = {code for code, rule in CODES.items() if rule.filtered is not Filtered.NO}

    assert hinting == {code for code, letter in LISTED.items() if letter == L}


@pytest.mark.parametrize(
    ("code", "says", "class_"),
    [
        (2, "参数 mobile 格式不正确，mobile:189194884497", Class.MESSAGE),
        (2, "参数 text 格式不正确", Class.BUG),
        (11, "用户手机号防骚扰", Class.MESSAGE),
        (11, "接口不支持GET方式调用", Class.BUG),
    ],
)
def test_the_words_tell_two_meanings_of_a_code_apart(code: int, says: str, class_: Class) -> None:
    assert find_rule(code, says).class_ is class_

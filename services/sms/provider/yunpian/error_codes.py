"""Yunpian's codes, and what each means for a message, its account and the operator.

Sources: yunpian.com, returnvalue_common (the page of today and the copy in yunpian-java-sdk, `Code.java`
and `messages.properties`); the classes are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.sms.provider.base import Filtered, Verdict


class Class(StrEnum):
    """What is to be done about an answer."""

    DELIVERED = "D"
    """Accepted by the provider."""
    RETRY = "R"
    """Certainly not sent; try again later."""
    PACE = "R, account-wide"
    """Too many calls of the account: it pauses, and the message waits."""
    DOUBT = "R, in doubt"
    """Nobody knows whether it was sent."""
    UNKNOWN = "R once, then P+O"
    """Not in the table: try again once, and have the operator look."""
    LIMIT = "L"
    """A limit of the number."""
    MESSAGE = "P"
    """This message will never pass."""
    BUG = "P+O"
    """This message will never pass, and the operator has to look."""
    OPERATOR = "O"
    """Nothing passes until the operator has acted: the account pauses, and messages wait."""

    @property
    def verdict(self) -> Verdict:
        """What it means for the message."""
        return _VERDICTS[self]

    @property
    def alerts(self) -> bool:
        """Whether the operator has to look."""
        return self in {Class.BUG, Class.OPERATOR, Class.UNKNOWN}


_VERDICTS: Mapping[Class, Verdict] = {
    Class.DELIVERED: Verdict.ACCEPTED,
    Class.RETRY: Verdict.RETRY,
    Class.PACE: Verdict.HALTED,
    Class.DOUBT: Verdict.AMBIGUOUS,
    Class.UNKNOWN: Verdict.RETRY,
    Class.LIMIT: Verdict.LIMITED,
    Class.MESSAGE: Verdict.PERMANENT,
    Class.BUG: Verdict.PERMANENT,
    Class.OPERATOR: Verdict.HALTED,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        class_: what is to be done.
        meaning: Yunpian's words, in English.
        lasts: how long a limit holds, where that is known.
        filtered: whether the code says that the same or a like text was sent shortly before.
        account_tells: a look at the account (`user/get`) shows that it is over; a message need not.
        next_account: another account may be asked at once, although this one goes on.
    """

    class_: Class
    meaning: str
    lasts: timedelta = timedelta(0)
    filtered: Filtered = Filtered.NO
    account_tells: bool = False
    next_account: bool = False


def _operator(meaning: str, *, account_tells: bool = False) -> Rule:
    return Rule(Class.OPERATOR, meaning, account_tells=account_tells)


def _limit(meaning: str, filtered: Filtered, **lasts: float) -> Rule:
    return Rule(Class.LIMIT, meaning, timedelta(**lasts), filtered)


_GET_UNSUPPORTED_OR_HARASSMENT = 11
_BAD_FORMAT = 2
_UNKNOWN = Rule(Class.UNKNOWN, "not in the table")

CODES: Mapping[int, Rule] = {
    0: Rule(Class.DELIVERED, "accepted"),
    1: Rule(Class.BUG, "parameter missing"),
    2: Rule(Class.MESSAGE, "bad parameter format"),  # P+O unless it is the mobile: `find_rule`
    3: _operator("balance too low", account_tells=True),
    4: Rule(Class.BUG, "blocked keyword"),
    5: _operator("no matching template"),  # template or signature drift: every message fails
    6: _operator("adding the template failed"),
    7: _operator("template not usable: in review or rejected"),
    8: _limit("same text to the number within 30 seconds", Filtered.STRONG, seconds=30),
    9: _limit("same text to the number more than three times in 5 minutes", Filtered.STRONG, minutes=5),
    10: Rule(Class.MESSAGE, "the number is on the black list"),
    11: Rule(Class.MESSAGE, "the number does not want messages"),  # once: GET not supported, `find_rule`
    12: Rule(Class.BUG, "POST not supported"),
    13: Rule(Class.BUG, "marketing messages are paused"),
    14: Rule(Class.BUG, "decoding failed"),
    15: _operator("the signature does not match"),
    16: _operator("bad format of the signature"),
    17: _limit("too many to the number in 24 hours", Filtered.WEAK, hours=24),
    18: _operator("checking the signature failed"),
    19: _operator("the request has expired"),
    20: Rule(Class.MESSAGE, "country not supported"),
    21: _operator("decryption failed"),
    22: _limit("too many to the number in an hour", Filtered.WEAK, hours=1),
    23: Rule(Class.MESSAGE, "country not among the template's"),
    24: _operator("setting the alarm failed"),
    25: Rule(Class.BUG, "numbers and texts differ in count"),
    26: _operator("data plan error"),
    27: _operator("billing by money is not switched on"),
    28: Rule(Class.MESSAGE, "carrier not supported", next_account=True),
    33: _limit("a code to the number within 30 seconds", Filtered.WEAK, seconds=30),
    34: _operator("creating the signature failed"),
    40: _operator("the white list is not switched on"),
    43: _limit("too many to the number in a day", Filtered.WEAK, days=1),
    48: Rule(Class.BUG, "parameter too long"),
    52: Rule(Class.BUG, "blocked keyword"),
    # Text and voice together; seems to stand for 8, 9, 17, 22, 33 and 43 today, so how long is open.
    53: _limit("too often to the number", Filtered.WEAK),
    55: _operator("service offline"),
    56: Rule(Class.MESSAGE, "bad format of the number"),
    58: Rule(Class.BUG, "bad format of a variable"),
    60: _operator("the template has expired"),
    -1: _operator("bad API key", account_tells=True),
    -2: _operator("the account may not use this call", account_tells=True),
    -3: _operator("address not on the white list", account_tells=True),
    -4: Rule(Class.PACE, "too many calls of the account"),
    -5: Rule(Class.PACE, "calls of the account too frequent"),
    -6: _operator("batch calls not supported"),
    -7: _operator("HTTP request failed"),
    -8: _operator("data plan used up"),
    -11: _operator("feature not switched on"),
    -50: Rule(Class.DOUBT, "unknown exception"),
    -51: Rule(Class.RETRY, "system busy"),
    -52: _operator("recharging failed"),
    -53: Rule(Class.RETRY, "submitting the message failed"),
    -54: _operator("the record exists already"),
    -55: _operator("there is no such record"),
    -56: _operator("giving away failed"),
    -57: _operator("no usable signature"),
    -62: _operator("invalid qualification information"),
}


def find_rule(code: int, says: str = "") -> Rule:
    """Return the row of a code.

    Args:
        code: Yunpian's.
        says: the answer's message and detail, which tell two meanings of a code apart.
    """
    rule = CODES.get(code, _UNKNOWN)
    if code == _BAD_FORMAT and "mobile" not in says:
        return Rule(Class.BUG, rule.meaning)
    if code == _GET_UNSUPPORTED_OR_HARASSMENT and "GET" in says:
        return Rule(Class.BUG, "GET not supported")
    return rule

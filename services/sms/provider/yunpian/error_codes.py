"""Yunpian's error codes, and what each means for a message, its account and the operator.

Sources: yunpian.com, returnvalue_common (today's page and the copy in yunpian-java-sdk, `Code.java` and
`messages.properties`); the classes are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from services.sms.provider.base import DuplicateHint, SendStatus


class ErrorClass(StrEnum):
    """What is to be done about an answer; the values are label values of a metric."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    """Certainly not sent: retry the message."""
    THROTTLED = "throttled"
    """Too many calls of the account: it pauses, and messages wait."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The provider may have accepted the message."""
    UNKNOWN_CODE = "unknown_code"
    """Not in the table: the provider may have accepted the message, and the operator is alerted."""
    NUMBER_LIMIT = "number_limit"
    """A limit of the number."""
    REJECTED = "rejected"
    """This message will never be accepted, because of its number: nobody has to act."""
    REQUEST_ERROR = "request_error"
    """This message will never be accepted, and the operator has to act."""
    ACCOUNT_ERROR = "account_error"
    """Nothing is accepted until the operator has acted: the account pauses, and messages wait."""

    @property
    def status(self) -> SendStatus:
        """What it means for the message."""
        return _STATUSES[self]

    @property
    def alerts(self) -> bool:
        """Whether the operator has to act."""
        return self in {ErrorClass.REQUEST_ERROR, ErrorClass.ACCOUNT_ERROR, ErrorClass.UNKNOWN_CODE}


_STATUSES: Mapping[ErrorClass, SendStatus] = {
    ErrorClass.ACCEPTED: SendStatus.ACCEPTED,
    ErrorClass.RETRY: SendStatus.RETRY,
    ErrorClass.THROTTLED: SendStatus.DEFERRED,
    ErrorClass.UNKNOWN_OUTCOME: SendStatus.UNKNOWN,
    ErrorClass.UNKNOWN_CODE: SendStatus.UNKNOWN,
    ErrorClass.NUMBER_LIMIT: SendStatus.LIMITED,
    ErrorClass.REJECTED: SendStatus.REJECTED,
    ErrorClass.REQUEST_ERROR: SendStatus.REJECTED,
    ErrorClass.ACCOUNT_ERROR: SendStatus.DEFERRED,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        error_class: what is to be done.
        meaning: Yunpian's words, in English.
        limit_duration: how long a limit lasts, where known.
        duplicate_hint: whether the code tells that the same or a similar text was sent shortly before.
        shown_by_account: whether the account's state (`user/get`) shows that the error is over; otherwise
            only sending a message does.
        of_destination: whether it may be true of home or of foreign numbers alone, and of the message:
            templates, signatures, qualifications and prices differ, and so do the halts for them. Codes of
            the key, the address or the number of calls concern all.
        next_account: whether another account may be called at once, although this one keeps sending.
        of_template: whether it is the template of the text that is refused. For a code the account pauses,
            since all codes have one template; a notice has another one.
    """

    error_class: ErrorClass
    meaning: str
    limit_duration: timedelta = timedelta(0)
    duplicate_hint: DuplicateHint = DuplicateHint.NONE
    shown_by_account: bool = False
    of_destination: bool = False
    next_account: bool = False
    of_template: bool = False

    @property
    def for_notice(self) -> "Rule":
        """The row as it applies to a notice: a template that is not approved must not stop the codes."""
        return replace(self, error_class=ErrorClass.REQUEST_ERROR) if self.of_template else self


def _account_error(meaning: str, *, shown_by_account: bool = False, of_destination: bool = False) -> Rule:
    return Rule(
        ErrorClass.ACCOUNT_ERROR, meaning, shown_by_account=shown_by_account, of_destination=of_destination
    )


def _destination_error(meaning: str) -> Rule:
    return _account_error(meaning, of_destination=True)


def _template_error(meaning: str) -> Rule:
    return Rule(ErrorClass.ACCOUNT_ERROR, meaning, of_destination=True, of_template=True)


def _limit(meaning: str, hint: DuplicateHint, **duration: float) -> Rule:
    return Rule(ErrorClass.NUMBER_LIMIT, meaning, timedelta(**duration), hint)


_GET_UNSUPPORTED_OR_HARASSMENT = 11
_BAD_FORMAT = 2
_UNKNOWN_CODE = Rule(ErrorClass.UNKNOWN_CODE, "not in the table")

RULES: Mapping[int, Rule] = {
    0: Rule(ErrorClass.ACCEPTED, "accepted"),
    1: Rule(ErrorClass.REQUEST_ERROR, "parameter missing"),
    2: Rule(ErrorClass.REJECTED, "bad parameter format"),  # has two meanings: see `find_rule`
    # For a foreign text, which costs more, although it is enough for home.
    3: _account_error("balance too low", shown_by_account=True, of_destination=True),
    4: Rule(ErrorClass.REQUEST_ERROR, "blocked keyword"),
    5: _template_error("no matching template"),  # template or signature drift: every message fails
    6: _account_error("adding the template failed"),
    7: _template_error("template not usable: in review or rejected"),
    8: _limit("same text to the number within 30 seconds", DuplicateHint.CERTAIN, seconds=30),
    9: _limit("same text to the number more than three times in 5 minutes", DuplicateHint.CERTAIN, minutes=5),
    10: Rule(ErrorClass.REJECTED, "the number is on the black list"),
    11: Rule(ErrorClass.REJECTED, "the number does not want messages"),  # has two meanings: see `find_rule`
    12: Rule(ErrorClass.REQUEST_ERROR, "POST not supported"),
    13: Rule(ErrorClass.REQUEST_ERROR, "marketing messages are paused"),
    14: Rule(ErrorClass.REQUEST_ERROR, "decoding failed"),
    15: _destination_error("the signature does not match"),
    16: _destination_error("bad format of the signature"),
    17: _limit("too many to the number in 24 hours", DuplicateHint.LIKELY, hours=24),
    18: _destination_error("checking the signature failed"),
    19: _account_error("the request has expired"),
    20: Rule(ErrorClass.REJECTED, "country not supported"),
    21: _account_error("decryption failed"),
    22: _limit("too many to the number in an hour", DuplicateHint.LIKELY, hours=1),
    23: Rule(ErrorClass.REJECTED, "country not among the template's"),
    24: _account_error("setting the alarm failed"),
    25: Rule(ErrorClass.REQUEST_ERROR, "numbers and texts differ in count"),
    26: _account_error("data plan error"),
    27: _destination_error("billing by money is not switched on"),
    28: Rule(ErrorClass.REJECTED, "carrier not supported", next_account=True),
    33: _limit("a code to the number within 30 seconds", DuplicateHint.LIKELY, seconds=30),
    34: _destination_error("creating the signature failed"),
    40: _account_error("the white list is not switched on"),
    43: _limit("too many to the number in a day", DuplicateHint.LIKELY, days=1),
    48: Rule(ErrorClass.REQUEST_ERROR, "parameter too long"),
    52: Rule(ErrorClass.REQUEST_ERROR, "blocked keyword"),
    # Text and voice together; seems to replace 8, 9, 17, 22, 33 and 43 today, so its duration is not known.
    53: _limit("too often to the number", DuplicateHint.LIKELY),
    55: _account_error("service offline"),
    56: Rule(ErrorClass.REJECTED, "bad format of the number"),
    58: Rule(ErrorClass.REQUEST_ERROR, "bad format of a variable"),
    60: _template_error("the template has expired"),
    -1: _account_error("bad API key", shown_by_account=True),
    -2: _destination_error("the account may not use this call"),  # which `user/get` does not show
    -3: _account_error("address not on the white list", shown_by_account=True),
    -4: Rule(ErrorClass.THROTTLED, "too many calls of the account"),
    -5: Rule(ErrorClass.THROTTLED, "calls of the account too frequent"),
    -6: _account_error("batch calls not supported"),
    -7: _account_error("HTTP request failed"),
    -8: _account_error("data plan used up"),
    -11: _destination_error("feature not switched on"),
    -50: Rule(ErrorClass.UNKNOWN_OUTCOME, "unknown exception"),
    # Failures inside Yunpian, of its database for instance: nothing says at which step.
    -51: Rule(ErrorClass.UNKNOWN_OUTCOME, "system busy"),
    -52: _account_error("recharging failed"),
    -53: Rule(ErrorClass.UNKNOWN_OUTCOME, "submitting the message failed"),
    -54: _account_error("the record exists already"),
    -55: _account_error("there is no such record"),
    -56: _account_error("giving away failed"),
    -57: _destination_error("no usable signature"),
    -62: _destination_error("invalid qualification information"),
}


def find_rule(code: int, message: str = "") -> Rule:
    """Return the row of a code.

    Args:
        code: Yunpian's code.
        message: the answer's message and detail, which tell two meanings of one code apart.
    """
    rule = RULES.get(code, _UNKNOWN_CODE)
    if code == _BAD_FORMAT and "mobile" not in message:
        return Rule(ErrorClass.REQUEST_ERROR, rule.meaning)
    if code == _GET_UNSUPPORTED_OR_HARASSMENT and "GET" in message:
        return Rule(ErrorClass.REQUEST_ERROR, "GET not supported")
    return rule

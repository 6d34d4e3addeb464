"""Rules scripted over HTTP: which requests fail and how, and what becomes of accepted messages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from deploy.local.simulator.messages import Channel
from deploy.local.simulator.validation import is_foreign

FaultKind = Literal[
    "latency", "code", "drop", "reset", "hang", "bad_gateway_html", "empty_503", "slow_read",
    "accept_then_code", "accept_then_drop", "accept_then_reset", "accept_then_hang",
    "accept_then_bad_gateway",
]  # fmt: skip
# `send` stands for the first three.
Endpoint = Literal[
    "single_send", "batch_send", "voice_send", "get_record", "pull_status", "user_get", "send"
]  # fmt: skip
_SENDING = ("single_send", "batch_send", "voice_send")


def includes(named: Endpoint, endpoint: Endpoint) -> bool:
    """Return whether an endpoint is meant by a name."""
    return endpoint in _SENDING if named == "send" else endpoint == named


class Rule(BaseModel):
    """Base of the rules.

    Attributes:
        mobile: only for this number.
        account: only for the account with this name.
        channel: only for texts (`sms`) or for calls (`voice`), sending and pulling alike.
        foreign: only for numbers outside mainland China, or only for those inside.
        times: how often the rule applies; None for no limit.
    """

    model_config = ConfigDict(extra="forbid")

    mobile: str | None = None
    account: str | None = None
    channel: Channel | None = None
    foreign: bool | None = None
    times: int | None = Field(None, ge=1)

    def matches(self, account: str, mobile: str, channel: Channel) -> bool:
        """Return whether the rule is for this account, number and channel."""
        return (
            self.mobile in {None, mobile}
            and self.account in {None, account}
            and self.channel in {None, channel}
            and self.foreign in {None, is_foreign(mobile)}
        )


class Fault(Rule):
    """A request that fails.

    Attributes:
        fault: the kind; `accept_then_…` accepts the message and loses the response, `slow_read` accepts it
            and responds byte by byte.
        endpoint: only for this endpoint.
        seconds: of latency, or of a slow response.
        code: Yunpian's error code, for `code`.
        detail: what the code's text names; the number if empty.
    """

    fault: FaultKind
    endpoint: Endpoint = "send"
    seconds: float = Field(0, ge=0, le=600)
    code: int = -50
    detail: str = ""

    def matches_request(self, endpoint: Endpoint, account: str, mobile: str, channel: Channel) -> bool:
        """Return whether the rule is for this request."""
        return includes(self.endpoint, endpoint) and self.matches(account, mobile, channel)


class Outcome(Rule):
    """What becomes of an accepted message.

    Attributes:
        status: of the status report; NONE for a report that never comes.
        error_msg: the carrier's code; DELIVRD for a SUCCESS, the code of a dead number for a FAIL, if None.
        error_detail: the code in words.
        delay: seconds until the report, up to 72 hours; the setting's if None.
        copies: how often the report is delivered.
        copies_after: seconds between the copies.
    """

    status: Literal["SUCCESS", "FAIL", "UNKNOWN", "NONE"] = "SUCCESS"
    error_msg: str | None = None
    error_detail: str | None = None
    delay: float | None = Field(None, ge=0, le=72 * 3600)
    copies: int = Field(1, ge=1, le=10)
    copies_after: float = Field(0.0, ge=0, le=72 * 3600)


R = TypeVar("R", bound=Rule)


@dataclass(slots=True)
class RuleList(Generic[R]):
    """The active rules; the oldest match applies."""

    rules: list[R] = field(default_factory=list)

    def take(self, matches: Callable[[R], bool]) -> R | None:
        """Return the first rule that matches, using up one of its times, or None."""
        rule = next(filter(matches, self.rules), None)
        if rule is not None and rule.times is not None:
            rule.times -= 1
            if rule.times == 0:
                self.rules.remove(rule)
        return rule

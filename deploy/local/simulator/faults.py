"""Faults that tests and people script over HTTP."""

from typing import Literal

from pydantic import Field

from deploy.local.simulator.rules import Rule, Rules

Kind = Literal[
    "latency", "code", "drop", "reset", "hang", "bad_gateway_html", "empty_503", "slow_read",
    "accept_then_code", "accept_then_drop", "accept_then_reset", "accept_then_hang",
    "accept_then_bad_gateway",
]  # fmt: skip
# What a fault may be for; `send` stands for the first two.
Endpoint = Literal["single_send", "voice_send", "get_record", "pull_status", "user_get", "send"]
_SENDING = ("single_send", "voice_send")


class Fault(Rule):
    """What goes wrong with a request.

    Attributes:
        fault: the kind; `accept_then_…` accepts the message and loses the answer, `slow_read` accepts it and
            answers byte by byte.
        endpoint: only there.
        seconds: of latency, or of a slow answer.
        code: Yunpian's code, for `code`.
        detail: what the code's text names; the number where nothing is given.
    """

    fault: Kind
    endpoint: Endpoint = "send"
    seconds: float = Field(0, ge=0, le=600)
    code: int = -50
    detail: str = ""

    def strikes(self, endpoint: Endpoint, account: str, mobile: str) -> bool:
        """Tell whether the rule is for such a request."""
        there = endpoint in _SENDING if self.endpoint == "send" else endpoint == self.endpoint
        return there and self.concerns(account, mobile)


def take_delay(faults: Rules[Fault], endpoint: Endpoint, account: str, mobile: str) -> float:
    """Return the seconds that the answer to a request is delayed."""
    rule = faults.take(lambda rule: rule.fault == "latency" and rule.strikes(endpoint, account, mobile))
    return rule.seconds if rule else 0.0


def take_fault(faults: Rules[Fault], endpoint: Endpoint, account: str, mobile: str) -> Fault | None:
    """Return what else goes wrong with a request."""
    return faults.take(lambda rule: rule.fault != "latency" and rule.strikes(endpoint, account, mobile))

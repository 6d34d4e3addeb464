"""Faults that tests and people script over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

Kind = Literal[
    "latency", "code", "drop", "reset", "accept_then_drop", "bad_gateway_html",
    "accept_then_bad_gateway", "accept_then_hang", "empty_503", "hang",
]  # fmt: skip


class Fault(BaseModel):
    """One rule.

    Attributes:
        fault: what goes wrong; `accept_then_…` accepts the text and loses the answer.
        mobile: only for this number.
        seconds: of latency.
        code: Yunpian's code, for `code`.
        times: how often; None for ever.
    """

    fault: Kind
    mobile: str | None = None
    seconds: float = Field(0, ge=0, le=600)
    code: int = -50
    times: int | None = Field(None, ge=1)


@dataclass(slots=True)
class Faults:
    """The rules in force, in the order in which they were given."""

    rules: list[Fault]

    def delay(self, mobile: str) -> float:
        """Return the seconds that an answer to a number is delayed."""
        rule = self._take(mobile, lambda kind: kind == "latency")
        return rule.seconds if rule else 0.0

    def take(self, mobile: str) -> Fault | None:
        """Return what else goes wrong with a request for a number, using up one of its times."""
        return self._take(mobile, lambda kind: kind != "latency")

    def _take(self, mobile: str, wanted: Callable[[str], bool]) -> Fault | None:
        for rule in self.rules:
            if wanted(rule.fault) and rule.mobile in {None, mobile}:
                self._use(rule)
                return rule
        return None

    def _use(self, rule: Fault) -> None:
        if rule.times is None:
            return
        rule.times -= 1
        if rule.times == 0:
            self.rules.remove(rule)

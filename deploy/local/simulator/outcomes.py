"""What becomes of accepted messages at the carrier: scripted over HTTP, delivered by default."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import Field

from deploy.local.simulator.messages import Report, Sent
from deploy.local.simulator.rules import Rule, Rules

_FAILED_MSG, _FAILED_DETAIL = "DB:0103", "号码状态异常"


class Outcome(Rule):
    """What becomes of a message.

    Attributes:
        status: of the report; NONE for a report that never comes.
        error_msg: the carrier's code; one that stands for a dead number where a FAIL gives none.
        error_detail: the same in words.
        delay: seconds until the report; the setting's where nothing is given.
    """

    status: Literal["SUCCESS", "FAIL", "NONE"] = "SUCCESS"
    error_msg: str | None = None
    error_detail: str | None = None
    delay: float | None = Field(None, ge=0, le=600)


@dataclass(slots=True)
class Carrier:
    """Decides each message's outcome.

    Args:
        delay: seconds until a report, where no rule says otherwise.
        outcomes: the rules in force.
    """

    delay: float
    outcomes: Rules[Outcome]

    def decide(self, sent: Sent) -> None:
        """Give a message its report."""
        rule = self.outcomes.take(lambda rule: rule.concerns(sent.account, sent.mobile)) or Outcome()
        if rule.status == "NONE":
            return
        delay = self.delay if rule.delay is None else rule.delay
        failed = rule.status == "FAIL"
        sent.report = Report(
            rule.status,
            rule.error_msg or (_FAILED_MSG if failed else None),
            rule.error_detail or (_FAILED_DETAIL if failed else None),
            sent.at + timedelta(seconds=delay),
        )

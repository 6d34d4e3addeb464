"""What becomes of accepted messages at the carrier: scripted over HTTP, delivered by default."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from deploy.local.simulator.account import Account
from deploy.local.simulator.messages import Report, Sent, Status
from deploy.local.simulator.pusher import Pusher
from deploy.local.simulator.rules import Rule, Rules

_FAILED_MSG, _FAILED_DETAIL = "DB:0103", "号码状态异常"


class Outcome(Rule):
    """What becomes of a message.

    Attributes:
        status: of the report; NONE for a report that never comes.
        error_msg: the carrier's code; one that stands for a dead number where a FAIL gives none.
        error_detail: the same in words.
        delay: seconds until the report; the setting's where nothing is given.
        copies: how often it is delivered.
        copies_after: seconds between the copies.
    """

    status: Literal["SUCCESS", "FAIL", "NONE"] = "SUCCESS"
    error_msg: str | None = None
    error_detail: str | None = None
    delay: float | None = Field(None, ge=0, le=600)
    copies: int = Field(1, ge=1, le=10)
    copies_after: float = Field(0.0, ge=0, le=600)


@dataclass(slots=True)
class Carrier:
    """Decides each message's outcome and has it reported.

    Args:
        delay: seconds until a report, where no rule says otherwise.
        pusher: takes the reports that are pushed.
        outcomes: the rules in force.
    """

    delay: float
    pusher: Pusher
    outcomes: Rules[Outcome] = field(default_factory=Rules)

    def take(self, account: Account, sent: Sent, callback_url: str) -> None:
        """Give a message its report: pushed where there is a URL, to be pulled where there is none."""
        rule = self.outcomes.take(lambda rule: rule.concerns(sent.account, sent.mobile)) or Outcome()
        if rule.status == "NONE":
            return
        delay = self.delay if rule.delay is None else rule.delay
        sent.report = _report(rule.status, rule, sent.at + timedelta(seconds=delay))
        url = callback_url or account.terms.callback_url
        for copy in range(rule.copies):
            if url:
                self.pusher.push(url, sent, delay + copy * rule.copies_after)
            else:
                account.unread[sent.channel].append(sent)


def _report(status: Status, rule: Outcome, at: datetime) -> Report:
    message, detail = (_FAILED_MSG, _FAILED_DETAIL) if status == "FAIL" else (None, None)
    return Report(status, rule.error_msg or message, rule.error_detail or detail, at)

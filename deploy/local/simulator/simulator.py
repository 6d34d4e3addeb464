"""The state of the simulator: accounts, inbox, scripted faults and outcomes."""

import hashlib
import itertools
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import Message, Report, Status, format_china_time
from deploy.local.simulator.pusher import ReportPusher
from deploy.local.simulator.rules import Fault, Outcome, RuleList
from deploy.local.simulator.settings import FIRST_ACCOUNT, SimulatorSettings
from deploy.local.simulator.validation import require

_INBOX_SIZE = 10_000
# The carrier's code and the vendor's words, as in real reports.
_TEXTS: dict[Status, tuple[str | None, str | None]] = {
    "SUCCESS": ("DELIVRD", "接收成功"),
    "FAIL": ("DB:0103", "号码状态异常"),
    "UNKNOWN": (None, None),
}


class Simulator:
    """The accounts that the settings name, and the inbox that they share.

    Attributes:
        accounts: by name.
        inbox: the accepted messages of all accounts, newest last.
        faults: which requests fail.
        outcomes: what becomes of accepted messages; they are delivered by default.
        pusher: pushes the status reports.

    Args:
        settings: the accounts, and how status reports are delivered.
        clock: returns seconds since the epoch; tests replace it.
    """

    def __init__(self, settings: SimulatorSettings, clock: Callable[[], float]) -> None:
        # Never the numbers of an earlier run, which the workers' Redis may still know.
        sids = itertools.count(int(clock() * 1000))
        self.accounts = {name: Account(name, settings, clock, sids) for name in settings.keys}
        self._by_key = {key: self.accounts[name] for name, key in settings.keys.items()}
        self._replies = itertools.count(1)
        self._report_delay = settings.simulator_report_delay
        self.inbox: deque[Message] = deque(maxlen=_INBOX_SIZE)
        self.faults: RuleList[Fault] = RuleList()
        self.outcomes: RuleList[Outcome] = RuleList()
        self.pusher = ReportPusher(settings.simulator_push_retry)

    @property
    def first(self) -> Account:
        """The account of `YUNPIAN_API_KEY`."""
        return self.accounts[FIRST_ACCOUNT]

    def find_account(self, api_key: str) -> Account | None:
        """Return the account of a key, or None."""
        return self._by_key.get(api_key)

    def authenticate(self, api_key: str, ip: str) -> Account:
        """Return the account of a key.

        Raises:
            YunpianError: the key is missing or unknown, or the address is not on the account's white list.
        """
        require(apikey=api_key)
        account = self.find_account(api_key)
        if account is None:
            raise YunpianError(-1)
        account.check_ip(ip)
        return account

    def messages(self, mobile: str | None) -> list[Message]:
        """Return the messages of the inbox to a number, or all of them, newest last."""
        return [message for message in self.inbox if mobile is None or message.mobile == mobile]

    def deliver(self, account: Account, message: Message, callback_url: str = "") -> None:
        """Put an accepted message into the inbox and schedule its status report.

        The report is pushed if the request or the account has a callback URL, else kept until it is pulled.
        """
        self.inbox.append(message)
        outcome = (
            self.outcomes.take(lambda rule: rule.matches(message.account, message.mobile, message.channel))
            or Outcome()
        )
        if outcome.status == "NONE":
            return
        delay = self._report_delay if outcome.delay is None else outcome.delay
        message.report = _report(outcome.status, outcome, message.at + timedelta(seconds=delay))
        url = callback_url or account.config.callback_url
        for copy in range(outcome.copies):
            if url:
                self.pusher.push(url, account, message, delay + copy * outcome.copies_after)
            else:
                account.unread[message.channel].append(message)

    def reply(self, mobile: str, text: str) -> None:
        """Push what a phone has answered, where the first account has a callback URL."""
        if url := self.first.config.callback_url:
            now, number = self.first.now, next(self._replies)
            self.pusher.push_reply(
                url,
                {
                    "id": f"{number:032x}",
                    "mobile": mobile,
                    "reply_time": format_china_time(now),
                    "text": text,
                    "extend": "",
                    "base_extend": "8888",
                    "_sign": hashlib.sha256(text.encode()).hexdigest()[:32],
                },
            )


def _report(status: Status, outcome: Outcome, at: datetime) -> Report:
    message, detail = _TEXTS[status]
    return Report(
        status,
        message if outcome.error_msg is None else outcome.error_msg,
        detail if outcome.error_detail is None else outcome.error_detail,
        at,
    )

"""All simulated accounts and the inbox that they share."""

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.simulator.account import Account
from deploy.local.simulator.approval import check_given
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.messages import Sent
from deploy.local.simulator.settings import FIRST_ACCOUNT, SimulatorSettings

_INBOX_SIZE = 10_000


@dataclass(slots=True)
class Accounts:
    """The accounts by name and by key; `inbox` holds what any of them accepted, newest last."""

    by_name: dict[str, Account]
    inbox: deque[Sent]
    _by_key: dict[str, Account]

    @property
    def first(self) -> Account:
        """The account of `YUNPIAN_API_KEY`."""
        return self.by_name[FIRST_ACCOUNT]

    def known(self, api_key: str) -> Account | None:
        """Return the account of a key."""
        return self._by_key.get(api_key)

    def caller(self, api_key: str, ip: str) -> Account:
        """Return the account of a key that may call from an address.

        Raises:
            Refused: no key, an unknown one, or an address that is not on the account's white list.
        """
        check_given(apikey=api_key)
        account = self.known(api_key)
        if account is None:
            raise Refused(-1)
        account.check_address(ip)
        return account

    def messages(self, mobile: str | None) -> list[Sent]:
        """Return the accepted messages to a number, or all, newest last."""
        return [sent for sent in self.inbox if mobile is None or sent.mobile == mobile]


def open_accounts(settings: SimulatorSettings, clock: Callable[[], float]) -> Accounts:
    """Return the accounts that the settings name."""
    # Never again the numbers of an earlier run, which the workers' Redis may still know.
    sids = itertools.count(int(clock() * 1000))
    by_name = {name: Account(name, settings, clock, sids) for name in settings.keys}
    by_key = {key: by_name[name] for name, key in settings.keys.items()}
    return Accounts(by_name, deque(maxlen=_INBOX_SIZE), by_key)

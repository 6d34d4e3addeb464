"""What the simulator's handlers share."""

from dataclasses import dataclass

from deploy.local.simulator.account import Account
from deploy.local.simulator.accounts import Accounts
from deploy.local.simulator.faults import Fault
from deploy.local.simulator.messages import Sent
from deploy.local.simulator.outcomes import Carrier
from deploy.local.simulator.rules import Rules


@dataclass(frozen=True, slots=True)
class Parts:
    """One simulator."""

    accounts: Accounts
    faults: Rules[Fault]
    carrier: Carrier

    def keep(self, account: Account, sent: Sent, callback_url: str) -> None:
        """Put an accepted message into the inbox and hand it to the carrier."""
        self.accounts.inbox.append(sent)
        self.carrier.take(account, sent, callback_url)

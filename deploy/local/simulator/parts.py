"""What the simulator's handlers share."""

from dataclasses import dataclass

from deploy.local.simulator.accounts import Accounts
from deploy.local.simulator.faults import Fault
from deploy.local.simulator.outcomes import Carrier
from deploy.local.simulator.rules import Rules


@dataclass(frozen=True, slots=True)
class Parts:
    """One simulator."""

    accounts: Accounts
    faults: Rules[Fault]
    carrier: Carrier

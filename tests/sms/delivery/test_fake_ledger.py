"""The fake ledger holds to the rules of the real one."""

from collections.abc import Awaitable, Callable

import pytest

from services.sms.provider.base import Ledger
from tests.support.fakes import FakeLedger
from tests.support.ledger_rules import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_rule(rule: Callable[[Ledger, str], Awaitable[None]]) -> None:
    await rule(FakeLedger(), "m1")

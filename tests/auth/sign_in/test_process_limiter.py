"""The limits of one process while Redis is down."""

from services.auth.limits import Limit
from services.auth.sign_in.process_limiter import ProcessLimiter

HOUR = 3_600_000
MOBILE, HOME = "13900000000", "192.0.2.1"


class Limiter:
    """A limiter with a clock."""

    def __init__(self, account: int = 10, address: int = 100, network: int = 300) -> None:
        self.seconds = 0.0
        self._limiter = ProcessLimiter(
            Limit(account, HOUR), Limit(address, HOUR), Limit(network, HOUR), lambda: self.seconds
        )

    def attempt(self, mobile: str = MOBILE, address: str = HOME, *, failed: bool = True) -> str:
        """Return whose limit is used up, or an empty string."""
        if used_up := self._limiter.begin(mobile, address):
            assert used_up[1] > 0
            return used_up[0]
        self._limiter.settle(mobile, address, failed=failed)
        return ""


def failures(limiter: Limiter, attempts: list[tuple[str, str]]) -> list[str]:
    return [limiter.attempt(mobile, address) for mobile, address in attempts]


def test_an_account_is_limited_from_an_address() -> None:
    limiter = Limiter()
    assert failures(limiter, [(MOBILE, HOME)] * 12) == [""] * 10 + ["pair"] * 2
    assert limiter.attempt(MOBILE, "198.51.100.1") == ""


def test_an_account_is_limited_from_everywhere() -> None:
    seen = failures(Limiter(), [(MOBILE, f"10.{n}.0.1") for n in range(120)])
    assert seen == [""] * 100 + ["account"] * 20


def test_an_address_and_a_network_are_limited() -> None:
    accounts = [f"139{n:08}" for n in range(320)]
    assert failures(Limiter(), [(mobile, HOME) for mobile in accounts[:102]])[100:] == ["address"] * 2
    attempts = [(mobile, f"192.0.2.{n % 250}") for n, mobile in enumerate(accounts)]
    assert failures(Limiter(), attempts)[300:] == ["network"] * 20


def test_time_takes_failures_away() -> None:
    limiter = Limiter()
    failures(limiter, [(MOBILE, HOME)] * 10)
    limiter.seconds = 361
    assert failures(limiter, [(MOBILE, HOME)] * 2) == ["", "pair"]


def test_right_passwords_are_not_counted() -> None:
    limiter = Limiter()
    assert [limiter.attempt(failed=False) for _ in range(50)] == [""] * 50


def test_small_limits_are_not_enforced_where_nobody_knows_the_owners() -> None:
    assert failures(Limiter(account=1, address=1, network=1), [(MOBILE, HOME)] * 11)[-2:] == ["", "pair"]

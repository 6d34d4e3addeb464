import pytest

from services.sms.delivery.retries import RetrySchedule

DELAYS = (5.0, 15.0, 60.0)


@pytest.mark.parametrize(
    ("attempts", "lower", "upper"), [(0, 5, 15), (1, 5, 15), (2, 15, 60), (3, 60, 60), (99, 60, 60)]
)
def test_the_delay_grows_with_the_attempts_and_is_one_of_two(
    attempts: int, lower: float, upper: float
) -> None:
    assert RetrySchedule(DELAYS, min).delay(attempts) == lower
    assert RetrySchedule(DELAYS, max).delay(attempts) == upper


def test_messages_that_failed_together_are_spread_out() -> None:
    assert {RetrySchedule(DELAYS).delay(1) for _ in range(200)} == {5.0, 15.0}


def test_one_delay_is_enough() -> None:
    assert RetrySchedule((2.0,)).delay(7) == RetrySchedule((2.0,)).shortest == 2.0


@pytest.mark.parametrize(("seconds_left", "delay"), [(16, 15), (15, 5), (1, 5)])
def test_a_delay_beyond_the_expiry_is_shortened(seconds_left: float, delay: float) -> None:
    assert RetrySchedule(DELAYS, max).delay(1, seconds_left) == delay


def test_an_urgent_retry_has_the_shortest_delay() -> None:
    assert RetrySchedule(DELAYS, max).delay(3, urgent=True) == 5

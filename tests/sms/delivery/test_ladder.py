import pytest

from services.sms.delivery.ladder import Ladder

STEPS = (5.0, 15.0, 60.0)


@pytest.mark.parametrize(
    ("attempts", "lower", "upper"), [(0, 5, 15), (1, 5, 15), (2, 15, 60), (3, 60, 60), (99, 60, 60)]
)
def test_the_delay_grows_with_the_attempts_and_is_one_of_two_steps(
    attempts: int, lower: float, upper: float
) -> None:
    assert Ladder(STEPS, min).after(attempts) == lower
    assert Ladder(STEPS, max).after(attempts) == upper


def test_what_failed_together_does_not_come_back_together() -> None:
    assert {Ladder(STEPS).after(1) for _ in range(200)} == {5.0, 15.0}


def test_one_step_is_enough() -> None:
    assert Ladder((2.0,)).after(7) == Ladder((2.0,)).shortest == 2.0

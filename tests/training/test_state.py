import pytest

from limbeck.training.state import learning_rate


def rates(steps: int, warmup: float) -> list[float]:
    return [learning_rate(1.0, step, steps, warmup) for step in range(steps)]


def test_the_rate_rises_to_its_peak_and_falls_to_zero_behind_the_last_step() -> None:
    assert rates(10, 0.2) == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_warmup_from_one_on_is_a_number_of_steps() -> None:
    assert rates(6, 2) == pytest.approx([0.5, 1, 1, 0.75, 0.5, 0.25])
    assert rates(4, 0) == pytest.approx([1, 0.75, 0.5, 0.25])


def test_a_warmup_longer_than_the_stage_is_the_whole_stage() -> None:
    assert rates(4, 100) == pytest.approx([0.25, 0.5, 0.75, 1])
    assert learning_rate(3.0, 0, 1, 0.1) == 3.0


def test_a_constant_rate_stays_at_its_peak_behind_the_warm_up() -> None:
    assert [learning_rate(1.0, step, 5, 2, "constant") for step in range(5)] == [0.5, 1, 1, 1, 1]

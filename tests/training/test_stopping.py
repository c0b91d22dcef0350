import math

import pytest

from limbeck.training import stopping
from limbeck.training.stopping import DivergenceMonitor, TrainingStopped


def see(looker: DivergenceMonitor, step: int = 1, **changes: float) -> None:
    values = {"loss": 0.5, "equal_loss": math.log(8), "gradient_norm": 1.0, "score_spread": 0.2, "warm": True}
    looker.update(step, **values | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_stops_at_once(name: str, value: float) -> None:
    with pytest.raises(TrainingStopped, match=rf"step 7: the {name.replace('_', ' ')} is {value}.*learning_rate"):
        see(DivergenceMonitor(), 7, **{name: value})


def test_a_loss_that_stays_at_that_of_equal_scores_stops_with_cause_and_remedies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "STUCK_STEPS", 5)
    looker = DivergenceMonitor()
    for step in range(1, 5):
        see(looker, step, loss=math.log(8))
    with pytest.raises(TrainingStopped, match=r"step 5: for 5 steps the loss \(2\.0794.*equal scores \(2\.0794\)"):
        see(looker, 5, loss=math.log(8))


def test_a_loss_below_that_of_equal_scores_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STUCK_STEPS", 5)
    looker = DivergenceMonitor()
    for step in range(50):
        see(looker, step, loss=0.98 * math.log(8))
    assert looker.stuck_steps == 0


def test_no_loss_need_fall_while_the_learning_rate_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STUCK_STEPS", 5)
    looker = DivergenceMonitor()
    for step in range(50):
        see(looker, step, loss=math.log(8), warm=False)
    assert looker.stuck_steps == 0


def test_lists_without_signal_are_not_called_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STUCK_STEPS", 5)
    looker = DivergenceMonitor()
    for step in range(50):
        see(looker, step, loss=0.0, equal_loss=0.0)
    assert looker.stuck_steps == 0


def test_scores_that_collapse_for_long_stop_and_those_of_single_passages_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "COLLAPSED_STEPS", 3)
    looker = DivergenceMonitor()
    for step, value in enumerate([0.0, 0.0, 0.1, 0.0, 0.0, math.nan, 0.0, 0.0]):
        see(looker, step, score_spread=value)
    with pytest.raises(TrainingStopped, match="same score"):
        see(looker, 9, score_spread=0.0)

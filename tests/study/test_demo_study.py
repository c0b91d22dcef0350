"""The study that `limbeck demo` runs."""

from limbeck.study.config.study import demo_study, load_study
from limbeck.study.plan.plan import plan_study


def test_the_demo_compares_five_objectives_from_two_seeds_after_one_first_stage() -> None:
    plan = plan_study(load_study(demo_study()))
    objectives = {stages[-1].objective for stages in plan.study.config.recipes.values()}
    assert objectives >= {"BCE", "InfoNCE", "MarginMSE", "RankNet", "ADR-MSE"}
    assert len({cell.seed for cell in plan.cells}) == 2
    assert all(len(plan.prefixes(cell)) == 1 for cell in plan.cells)
    assert plan.warnings == ()

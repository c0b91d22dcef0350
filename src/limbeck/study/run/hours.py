"""How long a study's nodes take, by its plan's operations and the rate that the study states."""

from limbeck.study.config.study import Study
from limbeck.study.plan.cost import CostModel
from limbeck.study.plan.plan import StudyPlan


def planned_hours(plan: StudyPlan) -> dict[str, float]:
    """Name of a node → hours on one GPU, of prefixes, cells, and what scores test collections.

    Empty where the study's `compute:` states no `flops_per_second`. Of all other nodes the plan knows no operations.
    """
    study = plan.study
    rate = study.config.compute.flops_per_second
    return node_hours(plan, study, rate) if rate else {}


def node_hours(plan: StudyPlan, study: Study, rate: float) -> dict[str, float]:
    """Name of a node → hours at so many operations a second."""
    model = CostModel(study)
    found: dict[str, float] = {}
    for cell in plan.cells:
        stages = study.config.recipes[cell.recipe]
        of_stages = [model.stage(cell.backbone, stage).flops for stage in stages]
        shared = max(plan.prefixes(cell), default=0)
        before = 0
        for count, key in sorted(plan.prefixes(cell).items()):
            _put(found, f"prefix/{key}", of_stages[before:count], rate)
            before = count
        validation = model.validation(cell.backbone, cell.recipe).flops
        _put(found, f"cell/{cell.id}", [*of_stages[shared:], validation], rate)
        for name in study.config.collections.test:
            scored = model.evaluation_of(cell.backbone, name).flops
            _put(found, f"evaluate/{cell.id}/{name}", [scored], rate)
    return found


def _put(found: dict[str, float], name: str, flops: list[float | None], rate: float) -> None:
    known = [each for each in flops if each is not None]
    if len(known) == len(flops):
        found[name] = sum(known) / rate / 3600

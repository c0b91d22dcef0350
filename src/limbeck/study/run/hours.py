"""How long a study's nodes take, by its plan's operations and the rate that the study states."""

from limbeck.study.plan.cost import CostModel
from limbeck.study.plan.plan import StudyPlan


def planned_hours(plan: StudyPlan) -> dict[str, float]:
    """Name of a node → hours on one GPU, of prefixes, cells, and what scores test collections.

    Empty where the study's `compute:` states no `flops_per_second`. Of all other nodes the plan knows no operations.
    """
    study = plan.study
    rate = study.config.compute.flops_per_second
    if rate is None:
        return {}
    model = CostModel(study)
    found: dict[str, float] = {}

    def put(name: str, *flops: float | None) -> None:
        known = [each for each in flops if each is not None]
        if len(known) == len(flops):
            found[name] = sum(known) / rate / 3600

    for cell in plan.cells:
        of_stages = [model.stage(cell.backbone, stage).flops for stage in study.config.recipes[cell.recipe]]
        shared = 0
        for count, key in sorted(plan.prefixes(cell).items()):
            put(f"prefix/{key}", *of_stages[shared:count])
            shared = count
        put(f"cell/{cell.id}", *of_stages[shared:], model.validation(cell.backbone, cell.recipe).flops)
        for name in study.config.collections.test:
            put(f"evaluate/{cell.id}/{name}", model.evaluation_of(cell.backbone, name).flops)
    return found

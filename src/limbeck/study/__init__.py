"""Studies: from a file to cells, from cells to finished folders, from these to results."""

from limbeck.study.config import Study, StudyError, load_study
from limbeck.study.execute import run_study
from limbeck.study.plan import Cell, StudyPlan, plan_study
from limbeck.study.rehearsal import prepare as prepare_rehearsal
from limbeck.study.rehearsal import unproved
from limbeck.study.results import gather
from limbeck.study.status import status

__all__ = [
    "Cell",
    "Study",
    "StudyError",
    "StudyPlan",
    "gather",
    "load_study",
    "plan_study",
    "prepare_rehearsal",
    "run_study",
    "status",
    "unproved",
]

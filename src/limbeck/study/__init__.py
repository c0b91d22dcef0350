"""Studies: from a file to cells, from cells to finished folders, from these to results."""

from limbeck.study.audit import audit_study
from limbeck.study.config import Study, StudyError, load_study
from limbeck.study.execute import run_study
from limbeck.study.explorer import explore
from limbeck.study.plan import Cell, StudyPlan, plan_study
from limbeck.study.provenance import provenance, write_provenance
from limbeck.study.rehearsal import prepare as prepare_rehearsal
from limbeck.study.rehearsal import unproved
from limbeck.study.results import gather
from limbeck.study.status import status
from limbeck.study.values import write_values

__all__ = [
    "Cell",
    "Study",
    "StudyError",
    "StudyPlan",
    "audit_study",
    "explore",
    "gather",
    "load_study",
    "plan_study",
    "prepare_rehearsal",
    "provenance",
    "run_study",
    "status",
    "unproved",
    "write_provenance",
    "write_values",
]

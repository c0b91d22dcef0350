"""Training lists: a query, its passages and their training signals; stored as ids, sampled without state."""

from limbeck.lists.describe import describe
from limbeck.lists.from_run import lists_from_run
from limbeck.lists.from_teacher import (
    Teacher,
    candidates_to_teach,
    lists_from_grades,
    lists_from_orders,
    lists_from_scores,
    lists_from_teacher,
)
from limbeck.lists.lists import SIGNALS, Lists, TrainingList, concatenate
from limbeck.lists.parquet import read_lists, write_lists
from limbeck.lists.sample import Sample
from limbeck.lists.sampler import Sampler
from limbeck.lists.signals import teacher_order_from_scores, with_teacher_scores

__all__ = [
    "SIGNALS",
    "Lists",
    "Sample",
    "Sampler",
    "Teacher",
    "TrainingList",
    "candidates_to_teach",
    "concatenate",
    "describe",
    "lists_from_grades",
    "lists_from_orders",
    "lists_from_run",
    "lists_from_scores",
    "lists_from_teacher",
    "read_lists",
    "teacher_order_from_scores",
    "with_teacher_scores",
    "write_lists",
]

"""Training lists: a query, its passages and their training signals; stored as ids, sampled without state."""

from limbeck.lists.convert import Conversion, convert, provided_signals
from limbeck.lists.describe import describe, describe_file
from limbeck.lists.formats import find_format, format_names
from limbeck.lists.from_run import lists_from_run
from limbeck.lists.from_teacher import (
    candidates_to_teach,
    lists_from_grades,
    lists_from_orders,
    lists_from_scores,
)
from limbeck.lists.leaks import (
    Overlap,
    distinct_queries,
    document_leaks,
    positives,
    query_leaks,
    relevant_documents,
    without_queries,
)
from limbeck.lists.lists import SIGNALS, Lists, TrainingList, concatenate
from limbeck.lists.own_texts import write_own_texts
from limbeck.lists.parquet import read_lists, write_lists
from limbeck.lists.sample import POLICIES, Sample
from limbeck.lists.sampler import Sampler
from limbeck.lists.signals import teacher_order_from_scores, with_teacher_scores

__all__ = [
    "POLICIES",
    "SIGNALS",
    "Conversion",
    "Lists",
    "Overlap",
    "Sample",
    "Sampler",
    "TrainingList",
    "candidates_to_teach",
    "concatenate",
    "convert",
    "describe",
    "describe_file",
    "distinct_queries",
    "document_leaks",
    "find_format",
    "format_names",
    "lists_from_grades",
    "lists_from_orders",
    "lists_from_run",
    "lists_from_scores",
    "positives",
    "provided_signals",
    "query_leaks",
    "read_lists",
    "relevant_documents",
    "teacher_order_from_scores",
    "with_teacher_scores",
    "without_queries",
    "write_lists",
    "write_own_texts",
]

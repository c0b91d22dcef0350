"""Training lists: a query, its passages and their training signals; stored as ids, sampled without state."""

from limbeck.lists.align import write_own_texts
from limbeck.lists.candidates import lists_from_run
from limbeck.lists.convert import Conversion, Exported, convert, export, provided_signals
from limbeck.lists.formats import find_format, format_names, writable_format_names
from limbeck.lists.leaks import (
    CloseTexts,
    LeakCounts,
    LeakExample,
    Overlap,
    close_in_meaning,
    distinct_queries,
    document_leaks,
    positives,
    query_leaks,
    relevant_documents,
    without_queries,
)
from limbeck.lists.lists import SIGNALS, TEXTS_KEY, Lists, TrainingList, concatenate, describe, write_lists
from limbeck.lists.mining import NegativeFilter, mine
from limbeck.lists.sampler import Sampler
from limbeck.lists.sampling import POLICIES, Sample
from limbeck.lists.signals import (
    candidates_to_mine,
    candidates_to_teach,
    lists_from_grades,
    lists_from_orders,
    lists_from_scored_run,
    lists_from_scores,
    lists_from_signals,
    mix,
    run_in_order,
    teacher_order_from_scores,
    with_teacher_scores,
)
from limbeck.lists.stored import describe_file, open_lists, read_lists

__all__ = [
    "POLICIES",
    "SIGNALS",
    "TEXTS_KEY",
    "CloseTexts",
    "Conversion",
    "Exported",
    "LeakCounts",
    "LeakExample",
    "Lists",
    "NegativeFilter",
    "Overlap",
    "Sample",
    "Sampler",
    "TrainingList",
    "candidates_to_mine",
    "candidates_to_teach",
    "close_in_meaning",
    "concatenate",
    "convert",
    "describe",
    "describe_file",
    "distinct_queries",
    "document_leaks",
    "export",
    "find_format",
    "format_names",
    "lists_from_grades",
    "lists_from_orders",
    "lists_from_run",
    "lists_from_scored_run",
    "lists_from_scores",
    "lists_from_signals",
    "mine",
    "mix",
    "open_lists",
    "positives",
    "provided_signals",
    "query_leaks",
    "read_lists",
    "relevant_documents",
    "run_in_order",
    "teacher_order_from_scores",
    "with_teacher_scores",
    "without_queries",
    "writable_format_names",
    "write_lists",
    "write_own_texts",
]

"""LLMs as teachers: listwise orders, graded judgments, pointwise scores, and queries for documents."""

from limbeck.teachers.llm.address import Address
from limbeck.teachers.llm.asking import Asker
from limbeck.teachers.llm.budget import Budget, BudgetSpent, Cap, Prices
from limbeck.teachers.llm.call import Answer, Call, CallFailed, Engine, Stopped, Usage
from limbeck.teachers.llm.call_store import CallStore
from limbeck.teachers.llm.endpoint import Endpoint
from limbeck.teachers.llm.in_process import InProcess
from limbeck.teachers.llm.job import Grades, Job, Orders
from limbeck.teachers.llm.judging import Judging
from limbeck.teachers.llm.language_model import LanguageModel
from limbeck.teachers.llm.listwise import Listwise
from limbeck.teachers.llm.pointwise import Pointwise
from limbeck.teachers.llm.query_writing import Queries, QueryWriting, sample_documents, write_queries
from limbeck.teachers.llm.service import Service
from limbeck.teachers.llm.status import JobStatus, Spent, StoreStatus, read_spent, read_status
from limbeck.teachers.llm.template import Template, known_templates, read_template
from limbeck.teachers.llm.work import Outcome, Work, described

__all__ = [
    "Address",
    "Answer",
    "Asker",
    "Budget",
    "BudgetSpent",
    "Call",
    "CallFailed",
    "CallStore",
    "Cap",
    "Endpoint",
    "Engine",
    "Grades",
    "InProcess",
    "Job",
    "JobStatus",
    "Judging",
    "LanguageModel",
    "Listwise",
    "Orders",
    "Outcome",
    "Pointwise",
    "Prices",
    "Queries",
    "QueryWriting",
    "Service",
    "Spent",
    "Stopped",
    "StoreStatus",
    "Template",
    "Usage",
    "Work",
    "described",
    "known_templates",
    "read_spent",
    "read_status",
    "read_template",
    "sample_documents",
    "write_queries",
]

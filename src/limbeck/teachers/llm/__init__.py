"""LLMs as teachers: listwise orders, graded judgments, pointwise scores, and queries for documents."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.teachers.kinds.llm import LLMSettings, described, open_session, session_facts
    from limbeck.teachers.kinds.llm import LLMSettings as Service
    from limbeck.teachers.llm.cache import Budget, BudgetSpent, CallStore, Cap, Prices
    from limbeck.teachers.llm.client import LLMClient, LLMSession, Outcome
    from limbeck.teachers.llm.endpoint import Endpoint
    from limbeck.teachers.llm.engine import Answer, Call, CallFailed, Engine, Stopped, Usage
    from limbeck.teachers.llm.in_process import InProcess, LanguageModel
    from limbeck.teachers.llm.pointwise import Pointwise
    from limbeck.teachers.llm.prompts import Template, known_templates, read_template
    from limbeck.teachers.llm.query_generation import Queries, QueryWriting, sample_documents, write_queries
    from limbeck.teachers.llm.rerank import Grades, Judging, Listwise, Orders, Reranker
    from limbeck.teachers.llm.status import JobStatus, Spent, StoreStatus, read_spent, read_status
    from limbeck.teachers.llm.transport import Address

__all__ = [
    "Address",
    "Answer",
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
    "JobStatus",
    "Judging",
    "LLMClient",
    "LLMSession",
    "LLMSettings",
    "LanguageModel",
    "Listwise",
    "Orders",
    "Outcome",
    "Pointwise",
    "Prices",
    "Queries",
    "QueryWriting",
    "Reranker",
    "Service",
    "Spent",
    "Stopped",
    "StoreStatus",
    "Template",
    "Usage",
    "described",
    "known_templates",
    "open_session",
    "read_spent",
    "read_status",
    "read_template",
    "sample_documents",
    "session_facts",
    "write_queries",
]

_ROOMS = {
    "cache": ("Budget", "BudgetSpent", "CallStore", "Cap", "Prices"),
    "client": ("LLMClient", "LLMSession", "Outcome"),
    "endpoint": ("Endpoint",),
    "engine": ("Answer", "Call", "CallFailed", "Engine", "Stopped", "Usage"),
    "in_process": ("InProcess", "LanguageModel"),
    "pointwise": ("Pointwise",),
    "prompts": ("Template", "known_templates", "read_template"),
    "query_generation": ("Queries", "QueryWriting", "sample_documents", "write_queries"),
    "rerank": ("Grades", "Judging", "Listwise", "Orders", "Reranker"),
    "status": ("JobStatus", "Spent", "StoreStatus", "read_spent", "read_status"),
    "transport": ("Address",),
}


def __getattr__(name: str) -> Any:
    # torch, and the HTTP client, which what is only declared does not need.
    if name in ("LLMSettings", "Service", "described", "open_session", "session_facts"):
        # `Service` is what the settings were called here
        return getattr(importlib.import_module("limbeck.teachers.kinds.llm"), name.replace("Service", "LLMSettings"))
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What an LLM is reached by, and how much it may be asked: everything but the questions."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.teachers.llm.address import Address
from limbeck.teachers.llm.asking import Asker
from limbeck.teachers.llm.budget import Budget, Cap
from limbeck.teachers.llm.call_store import CallStore
from limbeck.teachers.llm.endpoint import Endpoint
from limbeck.teachers.llm.in_process import InProcess
from limbeck.teachers.llm.key import Key, check_parameters
from limbeck.teachers.llm.language_model import LanguageModel
from limbeck.teachers.llm.work import Work

KEY_VARIABLE = "LIMBECK_API_KEY"


@dataclass(frozen=True)
class Service:
    """An LLM at an OpenAI-compatible endpoint, or, without one, in this process.

    model         its name at the endpoint; in process a folder, Hub id, `package:NAME/PATH` or a GGUF file
    endpoint      the address; None: in process
    parameters    every sampling parameter
    key_variable  environment variable that holds the endpoint's key
    concurrency, timeout, retries  of an endpoint; see `Endpoint`
    precision     fp32 or bf16, in process

    UsageError for an address that is none, and for what may be a key where it would be recorded.
    """

    model: str
    endpoint: str | None
    parameters: Mapping[str, Any]
    revision: str = ""
    key_variable: str = KEY_VARIABLE
    concurrency: int = 4
    timeout: float = 120.0
    retries: int = 5
    precision: str = "fp32"
    cap: Cap = field(default_factory=Cap)

    def __post_init__(self) -> None:
        check_parameters(self.parameters)
        if self.endpoint is not None:
            _ = Address(self.endpoint), Key(self.key_variable)

    @contextmanager
    def work(self, calls: Path, console: Console | None, warn: Callable[[str], None]) -> Iterator[Work]:
        """The engine, with the store of calls in the file `calls` open; what a user should know goes to `warn`.

        Raises what the engine and the store raise that cannot be had.
        """
        stopping = threading.Event()
        with ExitStack() as stack:
            engine: Endpoint | InProcess
            if self.endpoint is None:
                engine = InProcess(LanguageModel.load(self.model, self.precision), self.parameters)
            else:
                address = Address(self.endpoint)
                if address.is_readable_on_the_way:
                    warn(f"queries and passages go to {address.host} unencrypted")
                engine = Endpoint(
                    address, self.model, self.parameters, self.key_variable, self.revision, self.timeout, self.retries,
                    connections=self.concurrency, stopping=stopping,
                )  # fmt: skip
                stack.callback(engine.close)
            store = stack.enter_context(CallStore(calls))
            if store.journal.repaired:
                warn(f"{calls}: the last record was half written and has been removed")
            concurrency = 1 if self.endpoint is None else self.concurrency
            yield Work(Asker(engine, store, Budget(self.cap), stopping), concurrency, stopping, console)

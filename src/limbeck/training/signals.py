"""A wish to stop: Ctrl-C or SIGTERM, obeyed where nothing is lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class StepAbandoned(BaseException):
    """A step that was broken off before it changed anything."""


class SignalHandler:
    """Notes the wish while it is entered, in the main thread; elsewhere there are no signals to note.

    Args:
        hear: called once, at the moment of the first wish.
    """

    def __init__(self, hear: Callable[[], None] = lambda: None) -> None:
        self.asked, self._hear, self._may_break_off = False, hear, False

    def __enter__(self) -> "SignalHandler":
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def may_break_off(self, allowed: bool = True) -> Iterator[None]:
        """Within it a wish is obeyed at once, by StepAbandoned, wherever Python happens to be."""
        self._may_break_off = allowed
        try:
            if allowed and self.asked:
                raise StepAbandoned
            yield
        finally:
            self._may_break_off = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if self._may_break_off:
            self._may_break_off = False
            raise StepAbandoned
        if first:
            self._hear()

"""A wish to stop: Ctrl-C or SIGTERM, obeyed where nothing is lost."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class SignalHandler:
    """Notes the wish while it is entered, in the main thread; elsewhere there are no signals to note."""

    asked = False

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

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

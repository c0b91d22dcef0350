"""Many tasks at once, of which each asks an engine."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from limbeck.teachers.llm.call import Stopped

Result = TypeVar("Result")
Task = Callable[[], Result]


def run_tasks(
    tasks: Iterable[Task[Result]],
    concurrency: int,
    stopping: threading.Event,
    interrupted: Callable[[int], None],
) -> Iterator[tuple[int, Result | Stopped]]:
    """(number of the task, its result) of each, as they finish; a task that was Stopped gives that as its result.

    Tasks are taken from their source as they can begin.

    After the first Stopped, or any other exception, no further task begins; `stopping` is set so that those under way
    make no further call. Calls under way are waited for: they are paid for, and their answers are to be kept. Other
    exceptions are raised then. On KeyboardInterrupt, `interrupted` is told how many tasks are waited for.
    """
    numbers: dict[Future[Result], int] = {}
    waiting = iter(enumerate(tasks))
    stopped = False
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            while True:
                while not stopped and len(numbers) < concurrency and (task := next(waiting, None)) is not None:
                    numbers[pool.submit(task[1])] = task[0]
                if not numbers:
                    return
                for future in wait(numbers, return_when=FIRST_COMPLETED).done:
                    number = numbers.pop(future)
                    try:
                        yield number, future.result()
                    except Stopped as reason:
                        if not stopped:
                            stopping.set()
                            stopped = True
                            yield number, reason
        except BaseException as error:
            stopping.set()
            if isinstance(error, KeyboardInterrupt):
                interrupted(sum(not future.done() for future in numbers))
            raise

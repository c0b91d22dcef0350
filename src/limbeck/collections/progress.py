"""How far it is while a large source is read: live on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")

SILENT_UNTIL = 100_000
STEP = 100  # items between two looks at the clock
QUIET_SECONDS = 15.0  # between two lines where there is no terminal


def counted(items: Iterable[Item], doing: str, noun: str, total: int | None = None) -> Iterator[Item]:
    """Pass `items` on. From the 100,000th on, say on stderr how many have passed, of `total` where that is known."""
    iterator = iter(items)
    for number, item in enumerate(iterator, 1):
        yield item
        if number == SILENT_UNTIL:
            break
    else:
        return
    from rich.console import Console

    def text(number: int, _: object = None) -> str:
        return f"{doing}: {SILENT_UNTIL + number:,} {f'of {total:,} {noun}' if total else noun}"

    yield from told(iterator, text, Console(stderr=True), text(0))


def told(items: Iterable[Item], text: Callable[[int, Item], str], console: "Console", beginning: str) -> Iterator[Item]:
    """Pass `items` on, and say now and then what `text` makes of how many have passed and of the last of them.

    Args:
        beginning: what is said on a terminal until then.
    """
    said = time.monotonic()
    with console.status(beginning) as status:
        for number, item in enumerate(items, 1):
            yield item
            if number % STEP or time.monotonic() - said < (1 if console.is_terminal else QUIET_SECONDS):
                continue
            said = time.monotonic()
            if console.is_terminal:
                status.update(text(number, item))
            else:
                console.print(text(number, item), highlight=False)

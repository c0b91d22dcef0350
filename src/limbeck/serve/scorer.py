"""One scorer for all requests: it fills token budgets across them, and leaves out those that were given up."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import Cuts, Pairs, Rows, score_windows
from limbeck.tokens.store import TokenStore

FILL_SECONDS = 0.005  # how long a part of a budget waits for other requests to fill it


class QueueFull(LimbeckError):
    """More waits than the service takes; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many pairs are waiting to be scored; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Scores:
    """A request's raw scores, float32 [passages] in the request's order, its tokens, and what was cut."""

    scores: NDArray[np.float32]
    tokens: int
    cuts: Cuts


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request, tokenised: pairs that are scored, and which of the request's passages each belongs to (ascending)."""

    pairs: Pairs
    query_rows: Rows
    passage_rows: Rows
    owners: NDArray[np.int64]
    lengths: NDArray[np.int64]
    cuts: Cuts
    passages: int


@dataclass(eq=False)
class _Request:
    prepared: Prepared
    future: "Future[Scores]" = field(default_factory=Future)
    found: list[NDArray[np.float32]] = field(default_factory=list)
    given: int = 0  # pairs handed to the scorer so far

    @property
    def waiting(self) -> int:
        return 0 if self.future.cancelled() else len(self.prepared.lengths) - self.given


class Scorer:
    """Scores requests on a thread of its own, in turns, so that a large request does not hold up a small one.

    Args:
        encoder: used by this thread alone once the scorer has started.
        precision: of products, as in `CrossEncoder.score`.
        token_budget: most tokens that are scored in one turn; a request with more takes several turns.
        queue_pairs: most pairs that wait; a request beyond is refused, unless nothing waits.
    """

    def __init__(self, encoder: CrossEncoder, precision: str, token_budget: int, queue_pairs: int) -> None:
        self.encoder, self.precision = encoder, precision
        self.token_budget, self.queue_pairs = token_budget, queue_pairs
        self.pairs_scored = 0
        self.tokens_scored = 0
        self.busy_seconds = 0.0
        self._requests: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pairs that wait."""
        with self._changed:
            return self._waiting()

    def prepare(self, queries: Sequence[str], passages: Sequence[str], windows: bool = False) -> Prepared:
        """Tokenise pairs (query i with passage i, or one query with all passages); for any thread.

        With `windows` a long passage is scored in windows that overlap by half, and the best one counts (MaxP).
        """
        if len(queries) == 1:
            queries = [queries[0]] * len(passages)
        pairs, query_rows, passage_rows = self.encoder.stored(list(zip(queries, passages, strict=True)))
        cuts = pairs.cuts(query_rows, passage_rows, windows)
        owners = np.arange(len(passages))
        if windows:
            pairs, owners = score_windows(pairs, query_rows, passage_rows)
            query_rows, passage_rows = query_rows[owners], np.arange(len(owners))
        lengths = pairs.lengths(query_rows, passage_rows)
        return Prepared(pairs, query_rows, passage_rows, owners, lengths, cuts, len(passages))

    def submit(self, prepared: Prepared) -> "Future[Scores]":
        """Put a request in the queue. Cancelling the future takes out what is not scored yet. Raises QueueFull."""
        request = _Request(prepared)
        with self._changed:
            waiting = self._waiting()
            if self._closing or (waiting and waiting + request.waiting > self.queue_pairs):
                rate = self.pairs_scored / self.busy_seconds if self.busy_seconds else 0.0
                raise QueueFull(max(1, min(60, round(waiting / rate))) if rate else 1)
            self._requests.append(request)
            self._changed.notify()
        return request.future

    def close(self) -> None:
        """Score what waits, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _waiting(self) -> int:
        return sum(request.waiting for request in self._requests)

    def _run(self) -> None:
        while turn := self._next_turn():
            began = monotonic()
            try:
                scores = self._score(turn)
                start = 0
                for request, part in turn:
                    size = part.stop - part.start
                    request.found.append(scores[start : start + size])
                    start += size
                    self._settle(request)
            except Exception as error:  # the service outlives a turn that fails, such as one without memory
                for request, _ in turn:
                    self._drop(request, error)
            finally:
                self.busy_seconds += monotonic() - began

    def _next_turn(self) -> list[tuple[_Request, slice]]:
        """What is scored next: a share of every request that waits, as large as the budget allows. Empty: stop."""
        with self._changed:
            deadline: float | None = None
            while True:
                while self._requests and not self._requests[0].waiting:
                    self._requests.popleft()
                tokens = sum(int(r.prepared.lengths[r.given :].sum()) for r in self._requests if r.waiting)
                if tokens >= self.token_budget or (self._closing and (tokens or not self._requests)):
                    break
                if tokens:
                    deadline = monotonic() + FILL_SECONDS if deadline is None else deadline
                    if (left := deadline - monotonic()) <= 0:
                        break
                    self._changed.wait(left)
                else:
                    deadline = None
                    self._changed.wait()
            return self._take()

    def _take(self) -> list[tuple[_Request, slice]]:
        """Turns taken fairly: the budget is shared out equally, and what a small request leaves, the others get."""
        waiting = sorted((r for r in self._requests if r.waiting), key=lambda r: r.waiting)
        taken: list[tuple[_Request, slice]] = []
        room = self.token_budget
        for number, request in enumerate(waiting):
            share = room // (len(waiting) - number)
            ends = np.cumsum(request.prepared.lengths[request.given :])
            count = int(np.searchsorted(ends, share, side="right"))
            if not count and not taken and number == len(waiting) - 1:
                count = 1  # a pair that is longer than the budget is scored alone
            if count:
                taken.append((request, slice(request.given, request.given + count)))
                request.given += count
                room -= int(ends[count - 1])
        return taken

    def _score(self, turn: Sequence[tuple[_Request, slice]]) -> NDArray[np.float32]:
        parts = [request.prepared for request, _ in turn]
        queries = _picked([(p.pairs.queries, p.query_rows[of]) for p, (_, of) in zip(parts, turn, strict=True)])
        passages = _picked([(p.pairs.passages, p.passage_rows[of]) for p, (_, of) in zip(parts, turn, strict=True)])
        rows = np.arange(len(queries))
        pairs = replace(parts[0].pairs, queries=queries, passages=passages)
        scores = self.encoder.score_rows(pairs, rows, rows, self.precision)
        self.pairs_scored += len(scores)
        self.tokens_scored += int(pairs.lengths(rows, rows).sum())
        return scores

    def _settle(self, request: _Request) -> None:
        prepared = request.prepared
        if request.given < len(prepared.lengths) or not request.future.set_running_or_notify_cancel():
            return
        best = np.full(prepared.passages, -np.inf, np.float32)
        with np.errstate(invalid="ignore"):  # NaN stays NaN
            np.maximum.at(best, prepared.owners, np.concatenate(request.found))
        request.future.set_result(Scores(best, int(prepared.lengths.sum()), prepared.cuts))

    def _drop(self, request: _Request, error: Exception) -> None:
        request.given = len(request.prepared.lengths)
        future = request.future
        if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
            future.set_exception(error)


def _picked(parts: Sequence[tuple[TokenStore, Rows]]) -> TokenStore:
    """The rows of several stores as one store, a row each; found by number alone."""
    lengths = [store.lengths(rows) for store, rows in parts]
    tokens = np.concatenate([store.gather(rows, counts) for (store, rows), counts in zip(parts, lengths, strict=True)])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    rows = np.arange(len(offsets) - 1)
    return TokenStore(rows.astype(np.bytes_), rows, offsets, tokens)

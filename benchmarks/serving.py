"""`limbeck serve` under load, beside sentence-transformers' predict behind the same web server; one table, in one run.

    python benchmarks/serving.py out/student/model --clients 1 4 16 --passages 30 --seconds 20

Clients in threads send one request after another: a query of the built-in collection with BM25's first passages. Both
services have the same model, machine and threads, and take turns. sentence-transformers' is as one would write it: the
request's pairs to `predict`, in a thread, one request at a time.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import numpy as np

PORTS = {"limbeck serve": 8411, "sentence-transformers": 8412}


def main() -> None:
    """Measure both services and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 4, 16])
    parser.add_argument("--passages", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        serve_peer(options.model, options.peer)
        return
    bodies = requests(options.passages)
    port = PORTS["limbeck serve"]
    commands = {
        "limbeck serve": [sys.executable, "-m", "limbeck", "serve", options.model, "--port", str(port)],
        "sentence-transformers": [
            sys.executable, __file__, options.model, "--peer", str(PORTS["sentence-transformers"])
        ],
    }  # fmt: skip
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    services = {name: subprocess.Popen(command, **quiet) for name, command in commands.items()}
    try:
        for name in services:
            wait_for(PORTS[name], services[name])
            load(PORTS[name], bodies, 1, 2)  # warm-up
        print(f"{options.passages} passages a request, {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads\n")
        print("| clients | service | p50 ms | p95 ms | requests/s | pairs/s |\n|---|---|---|---|---|---|", flush=True)
        for clients in options.clients:
            for name in services:
                seconds, wall = load(PORTS[name], bodies, clients, options.seconds)
                p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1000
                rate = len(seconds) / wall
                print(
                    f"| {clients} | {name} | {p50:.0f} | {p95:.0f} | {rate:.1f} | {rate * options.passages:.0f} |",
                    flush=True,
                )
    finally:
        for process in services.values():
            process.terminate()
            process.wait(60)


def requests(passages: int) -> list[bytes]:
    """Bodies of requests: queries of the built-in collection with BM25's first passages."""
    from limbeck.collections import load_collection
    from limbeck.retrieval import BM25

    collection = load_collection("demo/test")
    run = BM25().retrieve(collection, depth=passages, progress=False)
    full = [query_id for query_id in run if len(run[query_id]) == passages]
    return [
        json.dumps({
            "query": collection.queries[query_id],
            "documents": [collection.documents[docid] for docid in run[query_id].docids],
        }).encode()
        for query_id in full
    ]  # fmt: skip


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a service answers."""
    while True:
        if process.poll() is not None:
            sys.exit(f"the service on port {port} ended with {process.returncode}")
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.2)


def load(port: int, bodies: list[bytes], clients: int, seconds: float) -> tuple[list[float], float]:
    """Seconds of each request of so many clients at once, and of all of it."""
    began = time.perf_counter()
    end = began + seconds

    def client(number: int) -> list[float]:
        connection = HTTPConnection("127.0.0.1", port, timeout=600)
        taken: list[float] = []
        while time.perf_counter() < end:
            start = time.perf_counter()
            body = bodies[(number * 37 + len(taken)) % len(bodies)]
            connection.request("POST", "/v1/rerank", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                sys.exit(f"{answer.status}: {content.decode()}")
            taken.append(time.perf_counter() - start)
        return taken

    with ThreadPoolExecutor(clients) as pool:
        found = [one for taken in pool.map(client, range(clients)) for one in taken]
    return found, time.perf_counter() - began


def serve_peer(model: str, port: int) -> None:
    """sentence-transformers' predict behind starlette and uvicorn."""
    import uvicorn
    from sentence_transformers import CrossEncoder
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    encoder, turn = CrossEncoder(model, device="cpu"), asyncio.Lock()

    async def rerank(request: Request) -> JSONResponse:
        body = await request.json()
        pairs = [(body["query"], document) for document in body["documents"]]
        async with turn:
            scores = await asyncio.to_thread(encoder.predict, pairs, show_progress_bar=False)
        order = np.argsort(-scores, kind="stable")
        results = [{"index": int(index), "relevance_score": float(scores[index])} for index in order]
        return JSONResponse({"results": results})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    routes = [Route("/v1/rerank", rerank, methods=["POST"]), Route("/health", health)]
    uvicorn.run(Starlette(routes=routes), port=port, log_level="error")


if __name__ == "__main__":
    main()

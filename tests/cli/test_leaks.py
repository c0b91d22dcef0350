"""Training lists searched for a test, and written without what leaks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

from limbeck.lists import read_lists


def test_leaks_are_counted_shown_and_left_out(
    here: Path, limbeck: Callable[..., Result], as_json: Callable[..., Any]
) -> None:
    queries = here / "mini/queries.jsonl"
    rows = [json.loads(line) for line in queries.read_text().splitlines()]
    texts = {row["_id"]: row for row in rows}
    texts["q0"]["text"] = f"{texts['q9']['text'].upper()}!"
    queries.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 5, "--output", "train.run")
    limbeck("lists", "mine", "--collection", "mini/train", "--run", "train.run", "--output", "train.parquet")
    search = ("lists", "leaks", "train.parquet", "--collection", "mini/train", "--against", "mini/test")
    facts = as_json(*search, "--output", "clean.parquet", "--examples", 1)
    [found] = facts["searches"]
    assert found["queries"]["exact"] == 1
    [example] = [example for example in found["queries"]["examples"] if example["same"]]
    assert (example["id"], example["of"], example["of_text"]) == ("q0", "q9", texts["q9"]["text"])
    clean = read_lists(here / "clean.parquet")
    assert "q0" not in list(clean.query_ids)
    assert len(clean) == facts["output"]["lists"] == 5 - facts["output"]["left_out"]
    assert facts["leaking_queries"] == facts["output"]["left_out"]
    assert as_json(*search) == {**facts, "output": None, "searches": as_json(*search)["searches"]}
    shown = limbeck(*search, "--output", "clean.parquet").output
    assert f"test   q9: {texts['q9']['text']}" in shown
    assert "left out" in shown

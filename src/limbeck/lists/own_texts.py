"""A collection of a published file's own texts, for formats that hold texts where others have ids."""

import hashlib
import json
import os
from pathlib import Path

from limbeck.collections.lines import START
from limbeck.collections.progress import counted
from limbeck.errors import UsageError
from limbeck.lists.formats import find_format


def write_own_texts(source: str | Path, format_name: str, folder: str | Path) -> None:
    """Write the queries and passages of a file into `folder`, in BEIR's layout, each text once, in the file's order.

    Ids are 16 hex digits of SHA-256 over the text: equal files give equal collections. Empty texts are left out.

    Raises:
        UsageError: a format that has ids.
        DataError: what reading the file raises.
    """
    form, folder = find_format(format_name), Path(folder)
    if not form.is_text:
        raise UsageError(f"{source}: {format_name} has ids and no texts; name the collection that they are of")
    folder.mkdir(parents=True, exist_ok=True)
    asides = {name: folder / f".{name}.{os.getpid()}.aside" for name in ("corpus.jsonl", "queries.jsonl")}
    seen: set[tuple[str, str]] = set()
    try:
        with asides["corpus.jsonl"].open("w") as corpus, asides["queries.jsonl"].open("w") as queries:
            for row in counted(form.read(Path(source), START), f"Reading {Path(source).name}", "lists"):
                for file, texts in ((queries, [row.query_id]), (corpus, row.passage_ids)):
                    for text in map(str.strip, texts):
                        text_id = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]
                        if text and (file.name, text_id) not in seen:
                            seen.add((file.name, text_id))
                            file.write(f"{json.dumps({'_id': text_id, 'title': '', 'text': text})}\n")
            for file in (corpus, queries):
                file.flush()
                os.fsync(file.fileno())
        for name, aside in asides.items():
            os.replace(aside, folder / name)
    finally:
        for aside in asides.values():
            aside.unlink(missing_ok=True)

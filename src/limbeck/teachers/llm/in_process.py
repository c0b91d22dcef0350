"""A language model in this process as engine."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from limbeck.errors import UsageError
from limbeck.teachers.llm.call import Answer, Call, Usage
from limbeck.teachers.llm.language_model import LanguageModel

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

"""Pointwise scores from a language model: how much likelier one word is than another as its answer.

monoT5 (Nogueira et al. 2020, arXiv 2003.06713) compares `true` with `false`, Qwen3-Reranker (Zhang et al. 2025, arXiv
2506.05176) `yes` with `no`. Both publish softmax over the two; the score here is the difference of the logits, of which
that softmax is the logistic function: the same order, without the crowding at 0 and 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.runs import Run
from limbeck.teachers.llm.in_process import LanguageModel
from limbeck.teachers.llm.prompts import Template, as_data
from limbeck.tokens.batching import micro_batches
from limbeck.tokens.pairs import Cuts

TOKEN_BUDGET = 8192  # tokens of one micro-batch, padding included


@dataclass(frozen=True)
class Pointwise:
    """A language model that is asked about one passage at a time.

    max_length: longest prompt in tokens; the passage is cut to fit.

    UsageError for words of the template that are no single token of the model, and a length beyond the model.
    """

    language_model: LanguageModel
    template: Template
    max_length: int = 512

    def __post_init__(self) -> None:
        if self.max_length > self.language_model.longest:
            raise UsageError(
                f"{self.name}: max_length {self.max_length} is beyond its {self.language_model.longest} tokens"
            )
        if not self.template.text and self.language_model.tokenizer.chat_template is None:
            raise UsageError(
                f"{self.name}: its tokeniser has no chat template, and {self.template.name} is a chat; expected a "
                "template of plain text, such as monot5"
            )
        _ = self._answers

    @property
    def name(self) -> str:
        """The name that the model was loaded by."""
        return self.language_model.name

    @property
    def version(self) -> str:
        """The version of its weights."""
        return self.language_model.version

    @property
    def settings(self) -> Mapping[str, Any]:
        """Template, length and precision."""
        precision = self.language_model.precision
        return {"template": self.template.digest, "max_length": self.max_length, "precision": precision}

    def score(self, collection: Collection, wanted: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.float32]]:
        """Logit of the positive word less that of the negative one, float32 [docids], for each query."""
        prompts = [
            self.tokens(collection.queries[query_id], collection.documents[docid])
            for query_id, docids in wanted.items()
            for docid in docids
        ]
        scores = np.zeros(len(prompts), np.float32)
        for batch in micro_batches([len(ids) for ids in prompts], TOKEN_BUDGET):
            scores[batch] = self._margins([prompts[number] for number in batch])
        ends = np.cumsum([len(docids) for docids in wanted.values()])
        return dict(zip(wanted, np.split(scores, ends[:-1]), strict=True))

    def cuts(self, collection: Collection, run: Run) -> Cuts:
        """What of a run's pairs is too long for it, whether scored now or kept: always the passage, never the query."""
        cut = [
            docid
            for query_id, ranking in run.items()
            for docid in ranking.docids
            if self._tokens(collection.queries[query_id], collection.documents[docid])[1]
        ]
        return Cuts(pairs=len(cut), queries=0, passages=len(set(cut)))

    @cached_property
    def _answers(self) -> tuple[int, int]:
        """Token ids of the positive and the negative word."""
        tokenizer = self.language_model.tokenizer
        found = []
        for word in (self.template.positive, self.template.negative):
            ids = tokenizer(word, add_special_tokens=False)["input_ids"]
            if len(ids) != 1:
                raise UsageError(f'{self.name}: its tokeniser makes {len(ids)} tokens of "{word}", expected 1')
            found.append(int(ids[0]))
        return found[0], found[1]

    def tokens(self, query: str, passage: str) -> NDArray[np.int64]:
        """Token ids of the prompt, [tokens], the passage cut so that it fits.

        UsageError where not even an empty passage would.
        """
        return self._tokens(query, passage)[0]

    def _tokens(self, query: str, passage: str) -> tuple[NDArray[np.int64], bool]:
        """The same, and whether the passage was cut."""
        markers = self.language_model.markers | self.template.labels
        query, (passage, _) = as_data(query, markers=markers)[0], as_data(passage, markers=markers)
        ids = self._encode(self._prompt(query, passage))
        cut = len(ids) > self.max_length
        if cut:
            # Cut in the passage's own tokens, then tokenised anew: cut off elsewhere, a prompt would lose its end.
            offsets = self.language_model.tokenizer(
                passage, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
            ends = [end for _, end in offsets["offset_mapping"]]
            room = len(ends) - (len(ids) - self.max_length)
            while len(ids) > self.max_length and room > 0:
                ids = self._encode(self._prompt(query, passage[: ends[room - 1]]))
                room -= 1
        if len(ids) > self.max_length:
            raise UsageError(f"{self.name}: max_length {self.max_length} leaves no room for a passage beside its query")
        return ids, cut

    def _prompt(self, query: str, passage: str) -> str:
        messages = self.template.pair(query, passage)
        if self.template.text:
            return messages[0]["content"]
        return self.language_model.prompt(messages) + self.template.answer_begins

    def _encode(self, prompt: str) -> NDArray[np.int64]:
        # A chat's text has its special tokens; a plain text gets the tokeniser's own.
        encoded = self.language_model.tokenizer(
            prompt, add_special_tokens=self.template.text is not None, verbose=False
        )
        return np.array(encoded["input_ids"], np.int64)

    @torch.inference_mode()
    def _margins(self, prompts: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Scores [prompts] of token ids, as one micro-batch padded on the left."""
        model, tokenizer = self.language_model.model, self.language_model.tokenizer
        shape = (len(prompts), max(len(ids) for ids in prompts))
        input_ids = torch.full(shape, tokenizer.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.long)
        seq2seq = model.config.is_encoder_decoder
        for row, ids in enumerate(prompts):
            # An encoder reads from the left; a causal model's last token must be the prompt's.
            place = slice(0, len(ids)) if seq2seq else slice(shape[1] - len(ids), None)
            input_ids[row, place], mask[row, place] = torch.from_numpy(ids), 1
        options = {"input_ids": input_ids.to(model.device), "attention_mask": mask.to(model.device)}
        if seq2seq:
            begin = torch.full((len(prompts), 1), model.config.decoder_start_token_id, dtype=torch.long)
            logits = model(**options, decoder_input_ids=begin.to(model.device)).logits[:, 0]
        else:
            positions = (mask.cumsum(1) - 1).clamp(min=0).to(model.device)
            logits = model(**options, position_ids=positions, logits_to_keep=1).logits[:, -1]
        positive, negative = self._answers
        margins: NDArray[np.float32] = (logits[:, positive].float() - logits[:, negative].float()).cpu().numpy()
        return margins

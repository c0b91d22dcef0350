"""The cross-encoder: a transformers sequence-classification model that reads query and passage together."""

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.encoder.packing import micro_batches
from limbeck.encoder.pairs import Pairs, Rows
from limbeck.encoder.source import ModelSource, resolve
from limbeck.encoder.store import TokenStore
from limbeck.encoder.template import PairTemplate
from limbeck.errors import MissingError, UsageError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
LONGEST = 512  # default maximum pair length where the backbone allows more (ModernBERT: 8,192)
TOKEN_BUDGET = 4096  # tokens of one micro-batch, padding included
IDENTITY = "torch.nn.modules.linear.Identity"  # where sentence-transformers looks for the activation of raw scores


@dataclass
class CrossEncoder:
    """A backbone with a scoring head of one raw logit.

    Attributes:
        max_length: longest pair in tokens; the passage is cut to fit.
        query_tokens: longest query in tokens.
    """

    model: Any
    tokenizer: Any
    template: PairTemplate
    max_length: int
    query_tokens: int
    source: ModelSource

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str],
        layers: int | None = None,
        max_length: int | None = None,
        query_tokens: int = 64,
        device: str | None = None,
        seed: int = 0,
        sha256: str | None = None,
    ) -> "CrossEncoder":
        """Load a cross-encoder, or a backbone with a new scoring head.

        Args:
            name: folder, Hub id or `package:NAME/PATH`.
            layers: keep only the first `layers` transformer layers.
            max_length: longest pair in tokens, at most what the backbone takes; default the smaller of that and 512.
            query_tokens: longest query in tokens.
            device: torch device; default CUDA where there is one, else CPU.
            seed: initialises a scoring head that the checkpoint lacks.
            sha256: refuse local weights whose digest does not begin with this.

        Raises:
            MissingError: the model is not there; the text says how to get it.
            UsageError: `layers` or `max_length` beyond the backbone, or a head that does not give one score.
        """
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        source = resolve(os.fspath(name))
        if sha256 is not None:
            source.expect(sha256)
        with _quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                tokenizer = AutoTokenizer.from_pretrained(source.path)
                config = AutoConfig.from_pretrained(source.path)
                _one_score(config, source)
                _keep_layers(config, layers, source)
                model = AutoModelForSequenceClassification.from_pretrained(
                    source.path, config=config, dtype=torch.float32
                )
            except (OSError, ValueError) as error:
                raise MissingError(f"{source.name}: {_first_line(error)}") from error
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id
        limit = _longest_pair(model.config, tokenizer)
        if max_length is not None and max_length > limit:
            raise UsageError(f"{source.name}: max_length {max_length} is beyond the backbone's {limit} tokens")
        template = PairTemplate.of(tokenizer)
        chosen = max_length or min(limit, LONGEST)
        if chosen < template.special_tokens + 2:
            raise UsageError(f"max_length {chosen} leaves no room for a query and a passage")
        query_tokens = min(query_tokens, chosen - template.special_tokens - 1)
        model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return cls(model, tokenizer, template, chosen, query_tokens, source)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.model.parameters())

    def pairs(self, queries: TokenStore, passages: TokenStore) -> Pairs:
        """Pairs of these stores as this encoder reads them."""
        return Pairs(queries, passages, self.template, self.max_length, self.query_tokens)

    def logits(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Raw scores of one padded batch, float32 [pairs]."""
        batch = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        return self.model(**batch).logits[:, 0].float()  # type: ignore[no-any-return]

    def score(self, pairs: Sequence[tuple[str, str]], precision: str = "fp32") -> NDArray[np.float32]:
        """Raw scores of (query, passage) texts, float32 [pairs], in their order."""
        if not pairs:
            return np.zeros(0, np.float32)
        stores, rows = [], []
        for texts in zip(*pairs, strict=True):
            number = {text: str(i) for i, text in enumerate(dict.fromkeys(texts))}
            store = TokenStore.of({i: text for text, i in number.items()}, self.tokenizer)
            stores.append(store)
            rows.append(store.rows([number[text] for text in texts]))
        return self.score_rows(self.pairs(*stores), *rows, precision=precision)

    def score_rows(
        self,
        pairs: Pairs,
        query_rows: Rows,
        passage_rows: Rows,
        precision: str = "fp32",
        token_budget: int = TOKEN_BUDGET,
        advance: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Raw scores of stored pairs, float32 [pairs], in their order.

        Args:
            token_budget: most tokens of one micro-batch; changes speed and memory, not scores.
            advance: called with the number of pairs scored after each micro-batch.
        """
        scores = np.zeros(len(query_rows), np.float32)
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), autocast(self.device, precision):
                for index in micro_batches(pairs.lengths(query_rows, passage_rows), token_budget):
                    batch = pairs.batch(query_rows[index], passage_rows[index])
                    scores[index] = self.logits(batch).cpu().numpy()
                    if advance:
                        advance(len(index))
        finally:
            self.model.train(was_training)
        return scores

    def rank(self, query: str, passages: Sequence[str], top_k: int | None = None) -> list[tuple[int, float]]:
        """(index, score) of passages, best first; of equal scores the earlier passage first."""
        scores = self.score([(query, passage) for passage in passages])
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [(int(i), float(scores[i])) for i in order]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a plain transformers checkpoint that scores the same in sentence-transformers' CrossEncoder.

        The folder is written aside and renamed; an older one of that name is replaced only then.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        self.model.config.sentence_transformers = {"activation_fn": IDENTITY, "version": "6.2.0"}
        self.tokenizer.model_max_length = self.max_length
        with _quiet():
            self.model.save_pretrained(aside)
            self.tokenizer.save_pretrained(aside)
        aside.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            os.replace(target, old / "model")
            os.replace(aside, target)
            import shutil

            shutil.rmtree(old)
        else:
            os.replace(aside, target)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision: `fp32` leaves everything as it is, `bf16` computes products in bfloat16."""
    if precision not in PRECISIONS:
        raise UsageError(f"precision: {precision!r} is not known; expected one of {', '.join(PRECISIONS)}")
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def _one_score(config: Any, source: ModelSource) -> None:
    classifier = any("SequenceClassification" in name for name in config.architectures or ())
    if classifier and config.num_labels != 1:
        raise UsageError(
            f"{source.name}: its head gives {config.num_labels} values, a re-ranker needs 1; expected a backbone "
            "without a head or a cross-encoder with num_labels = 1"
        )
    config.num_labels = 1


def _keep_layers(config: Any, layers: int | None, source: ModelSource) -> None:
    if layers is None:
        return
    if not 1 <= layers <= config.num_hidden_layers:
        raise UsageError(f"{source.name}: layers = {layers}, expected 1 to {config.num_hidden_layers}")
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:layers]


def _longest_pair(config: Any, tokenizer: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None) or int(1e9)
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= config.pad_token_id + 1  # positions start behind the padding index
    return int(min(positions, tokenizer.model_max_length))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the terminal: a new head is expected here."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()

"""A cross-encoder as ONNX, in fp32 and in 8 bits, and how far such a form drifts from it on real pairs."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck.collections import Collection
from limbeck.core.errors import DataError, MissingError
from limbeck.core.files import sync
from limbeck.evaluation import measure_run
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.modular import ModularModel
from limbeck.models.sources import silence_transformers
from limbeck.runs import Run

MEASURE = "nDCG@10"


@dataclass(frozen=True)
class Drift:
    """Two rankings of the same candidates compared, the model's own and that of another form of it.

    Attributes:
        pairs, queries: what was compared.
        largest, average: absolute difference of scores.
        spread: standard deviation of the model's own scores within a query, averaged over queries: what differences
            have to be small against.
        tau: Kendall's τ-b of a query's two rankings, averaged over the queries with two different scores or more; None
            without any.
        before, after: mean nDCG@10 of either; None without judgments.
    """

    pairs: int
    queries: int
    largest: float
    average: float
    spread: float
    tau: float | None
    before: float | None
    after: float | None


def drift(own: Run, other: Run, collection: Collection) -> Drift:
    """Compare the model's own run with that of another form of it on the same candidates."""
    from scipy.stats import kendalltau

    differences, spreads, taus = [], [], []
    for query_id, ranking in own.items():
        scores = dict(zip(ranking.docids, ranking.scores, strict=True))
        others = dict(zip(other[query_id].docids, other[query_id].scores, strict=True))
        a, b = (np.array([found[docid] for docid in scores], np.float64) for found in (scores, others))
        differences.append(np.abs(a - b))
        spreads.append(a.std())
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            taus.append(kendalltau(a, b).statistic)
    every = np.concatenate(differences)
    means = [
        measure_run(collection, run, [MEASURE]).mean(MEASURE) if collection.qrels else None for run in (own, other)
    ]
    return Drift(
        len(every),
        len(differences),
        float(every.max()),
        float(every.mean()),
        float(np.mean(spreads)),
        float(np.mean(taus)) if taus else None,
        *means,
    )


FP32, INT8 = "onnx/model.onnx", "onnx/model_quint8.onnx"
"""Where sentence-transformers and Optimum look for them, in a model's folder."""
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
SINGLE_FILE = 1_500_000_000  # bytes of weights in one file; protobuf ends at 2 GiB


def require_onnx() -> None:
    """Raise MissingError where the packages of the extra `export` are not all installed."""
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise MissingError(f"ONNX needs {', '.join(absent)}: pip install 'limbeck[export]'")


def write_onnx(folder: Path) -> None:
    """Write the model of a checkpoint's folder into it as `FP32` and `INT8`, for any batch and length.

    8 bits: weights and activations of matrix products as unsigned integers, the weights with a scale for each output,
    the activations' range taken from each batch (dynamic quantisation). Unsigned, because signed weights overflow on
    processors without VNNI.

    Raises:
        MissingError: the extra `export` is not installed.
        DataError: torch cannot trace this kind of model.
    """
    require_onnx()
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    (folder / FP32).parent.mkdir(exist_ok=True)
    encoder = CrossEncoder.load(folder, device="cpu")
    if isinstance(encoder.model, ModularModel):
        raise DataError(
            f"{folder}: its head is kept as modules (modules.json), which is not written as ONNX; export without --onnx"
        )
    large = 4 * encoder.parameters > SINGLE_FILE
    with silence_transformers(), _silent():
        # Not the encoder's own model, whose layers are rewritten for speed; eager attention is plain matrix products.
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32
        ).eval()
        batch = _example(encoder)
        sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        try:
            torch.onnx.export(
                _Logits(model), (), str(folder / FP32), kwargs=batch, dynamo=True, input_names=list(batch),
                output_names=["logits"], dynamic_shapes=dict.fromkeys(batch, sizes), external_data=large, verbose=False,
            )  # fmt: skip
            quantize_dynamic(
                folder / FP32, folder / INT8, weight_type=QuantType.QUInt8, per_channel=True,
                use_external_data_format=large,
            )  # fmt: skip
        except OSError:
            raise
        except Exception as error:
            # torch's and onnxruntime's errors have no common class.
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise DataError(
                f"a {model.config.model_type} cannot be written as ONNX by torch {torch.__version__}: {reason}; "
                "export it without --onnx"
            ) from error
    sync((folder / FP32).parent)


def onnx_encoder(encoder: CrossEncoder, path: Path) -> CrossEncoder:
    """An encoder that reads pairs as `encoder` does and computes them with an ONNX file, on the CPU."""
    require_onnx()
    return replace(encoder, model=_OnnxModel(path, encoder.model.config), packed=False)


class _Logits(torch.nn.Module):
    """A model's logits, with inputs by name: what is written as ONNX has no other outputs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits
        return logits


class _OnnxModel(torch.nn.Module):
    """An ONNX file in the place of a transformers model."""

    def __init__(self, path: Path, config: Any) -> None:
        from onnxruntime import InferenceSession, SessionOptions
        from transformers.modeling_outputs import SequenceClassifierOutput

        super().__init__()
        self.config = config
        options = SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._output = SequenceClassifierOutput
        self.device = torch.device("cpu")
        self.place = torch.nn.Parameter(torch.zeros(0), requires_grad=False)  # for `CrossEncoder.device`

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **further: Any) -> Any:
        # Batches without padding come without a mask.
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        batch = {"input_ids": input_ids, "attention_mask": mask, **further}
        [logits] = self._session.run(["logits"], {name: tensor.numpy() for name, tensor in batch.items()})
        return self._output(logits=torch.from_numpy(logits))


def _example(encoder: CrossEncoder) -> dict[str, torch.Tensor]:
    """Two padded pairs of random tokens, of the inputs that the encoder gives its model."""
    shape = (2, min(16, encoder.max_length))
    ids = torch.randint(0, encoder.model.config.vocab_size, shape, generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "attention_mask": torch.ones(shape, dtype=torch.int64)}
    batch["attention_mask"][0, -4:] = 0
    if encoder.template.token_types is not None:
        batch["token_type_ids"] = torch.zeros(shape, dtype=torch.int64)
    return batch


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporters' progress, advice and warnings off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

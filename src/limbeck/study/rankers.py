"""The study file's sections on what ranks beside the students: first stages and teachers."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from limbeck.study.section import Amount, Count, Rate, Section


def _or_none(value: Any) -> Any:
    """YAML reads `off` and `no` as false, and `none` as a word."""
    return None if value is False or value == "none" else value


class BM25Parameters(Section):
    """As of `limbeck.retrieval.BM25`."""

    k1: float = 0.9
    b: float = 0.4
    stemmer: Annotated[str | None, BeforeValidator(_or_none)] = "english"
    stopwords: Annotated[str | None, BeforeValidator(_or_none)] = "english"


class SpladeParameters(Section):
    """As of `limbeck.retrieval.Splade`."""

    model: str
    max_length: Count | None = None
    sha256: str | None = None


class DenseParameters(Section):
    """As of `limbeck.retrieval.Dense`."""

    model: str
    similarity: Literal["cosine", "dot"] | None = None
    max_length: Count | None = None
    sha256: str | None = None


class FusionParameters(Section):
    """As of `limbeck.runs.Fusion`, of other first stages, each retrieved to the depth that is asked of it."""

    stages: list[str]
    method: Literal["rrf", "interpolate"] = "rrf"
    k: Amount = 60
    weights: list[Amount] = Field(default_factory=list)


class FirstStage(Section):
    """One kind of first stage; `runs` are given ones, a run file for each collection."""

    bm25: BM25Parameters | None = None
    splade: SpladeParameters | None = None
    dense: DenseParameters | None = None
    fuse: FusionParameters | None = None
    runs: dict[str, str] | None = None

    @property
    def encoder(self) -> SpladeParameters | DenseParameters | None:
        """The section that names a model."""
        return self.splade or self.dense


class Teacher(Section):
    """One kind of teacher.

    biencoder  its cosines times `scale` are teacher scores
    ensemble   cross-encoders, whose mean scores are teacher scores; `combine` and `max_length` as of `teach ensemble`
    llm        orders windows of passages, as of `teach llm`: at `endpoint`, with the key that the environment variable
               `key_variable` holds, or without one in process. `parameters` are further ones to send.
    """

    biencoder: str = ""
    scale: Rate = 1.0
    sha256: str | None = None

    ensemble: list[str] = Field(default_factory=list)
    combine: Literal["mean", "standardised"] = "mean"
    max_length: Count | None = None

    llm: str = ""
    endpoint: str | None = None
    prompt: str = "rank_zephyr"
    window: Count = 20
    step: Count = 10
    passes: Count = 1
    orders: Count = 1
    passage_words: Count = 300
    attempts: Count = 3
    temperature: Amount = 0.0
    top_p: Amount = 1.0
    max_tokens: Count = 256
    seed: int = 1
    parameters: dict[str, Any] = Field(default_factory=dict)
    revision: str = ""
    key_variable: str = "LIMBECK_API_KEY"
    concurrency: Count = 4
    budget_tokens: Count | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds that it names; one, in a study that is right."""
        return [kind for kind in TEACHER_KEYS if getattr(self, kind)]

    @property
    def models(self) -> list[str]:
        """The models that are loaded in this process."""
        in_process = [self.llm] if self.llm and self.endpoint is None and not self.llm.endswith(".gguf") else []
        return [*([self.biencoder] if self.biencoder else []), *self.ensemble, *in_process]


TEACHER_KEYS: dict[str, frozenset[str]] = {
    "biencoder": frozenset({"scale", "sha256"}),
    "ensemble": frozenset({"combine", "max_length"}),
    "llm": frozenset(
        {"endpoint", "prompt", "window", "step", "passes", "orders", "passage_words", "attempts", "temperature",
         "top_p", "max_tokens", "seed", "parameters", "revision", "key_variable", "concurrency", "budget_tokens"}
    ),
}  # fmt: skip
"""The keys that go with each kind of teacher."""

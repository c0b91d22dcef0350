"""A cross-encoder as a PyTerrier transformer, for its pipelines and experiments. PyTerrier 1.1 needs no JVM for it."""

from typing import TYPE_CHECKING, Any

from limbeck.core.errors import DataError, from_extra

if TYPE_CHECKING:
    from limbeck.models.cross_encoder import CrossEncoder


def pyterrier_transformer(encoder: "CrossEncoder", text_field: str, precision: str) -> Any:
    """A `pyterrier.Transformer` that scores and ranks anew what a frame of results holds.

    It takes columns `qid`, `query`, `docno` and `text_field`, and gives all of the frame with `score` (raw) and `rank`.

    Raises:
        MissingError: PyTerrier is not installed.
    """
    pt = from_extra("pyterrier", "pyterrier", "as_pyterrier_transformer")

    class CrossEncoderTransformer(pt.Transformer):  # type: ignore[misc,name-defined]
        def transform(self, frame: Any) -> Any:
            pt.validate.result_frame(frame, extra_columns=["query", text_field], context=self)
            if (absent := frame[text_field].isna()).any():
                docno = frame["docno"][absent].iloc[0]
                raise DataError(f"{docno}: no text in the column {text_field}; load it first, as with pt.text.get_text")
            pairs = list(zip(frame["query"].astype(str), frame[text_field].astype(str), strict=True))
            scores: Any = encoder.score_rows(*encoder.stored(pairs), precision).astype(float) if pairs else []
            return pt.model.add_ranks(frame.assign(score=scores))

        def __repr__(self) -> str:
            return f"CrossEncoder({encoder.source.name})"

    return CrossEncoderTransformer()

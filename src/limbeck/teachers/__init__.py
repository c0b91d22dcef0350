"""Teachers: stronger models whose scores, orders or grades of a run's candidates train a student."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.models.bi_encoder import BiEncoder
    from limbeck.teachers.biencoder import biencoder_scores, keeping_embeddings
    from limbeck.teachers.ensemble import EnsembleScores, ensemble_scores
    from limbeck.teachers.score_cache import kept_scores

__all__ = ["BiEncoder", "EnsembleScores", "biencoder_scores", "ensemble_scores", "keeping_embeddings", "kept_scores"]


def __getattr__(name: str) -> Any:
    # torch, which what is only declared does not need.
    import importlib

    rooms = {
        "BiEncoder": "limbeck.models.bi_encoder",
        "EnsembleScores": "limbeck.teachers.ensemble",
        "biencoder_scores": "limbeck.teachers.biencoder",
        "keeping_embeddings": "limbeck.teachers.biencoder",
        "ensemble_scores": "limbeck.teachers.ensemble",
        "kept_scores": "limbeck.teachers.score_cache",
    }
    if name not in rooms:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(rooms[name]), name)

"""Models for others: chosen on validation, as a folder with a card, as ONNX with its drift, on the Hub."""

from limbeck.export.card import CardFacts
from limbeck.export.folder import Candidates, Upload, export, plan_upload, push
from limbeck.export.onnx import Drift, drift
from limbeck.export.origin import Origin, find_origin

__all__ = [
    "Candidates",
    "CardFacts",
    "Drift",
    "Origin",
    "Upload",
    "drift",
    "export",
    "find_origin",
    "plan_upload",
    "push",
]

"""The cross-encoder: backbone and scoring head, token store, packing, load and save."""

from limbeck.encoder.biencoder import BiEncoder
from limbeck.encoder.checkpoint import expect_replaceable
from limbeck.encoder.cross_encoder import CrossEncoder, autocast
from limbeck.encoder.flops import product_rate, training_flops
from limbeck.encoder.moved import moved
from limbeck.encoder.onnx import FP32, INT8, onnx_encoder, require_onnx, write_onnx
from limbeck.encoder.packing import micro_batches, padding_share
from limbeck.encoder.pairs import Pairs
from limbeck.encoder.processes import ALONE, Processes
from limbeck.encoder.quiet import quiet
from limbeck.encoder.sentence_layout import SentenceLayout, read_sentence_layout
from limbeck.encoder.sharding import part_like, whole
from limbeck.encoder.source import ModelSource, resolve
from limbeck.encoder.splade import SpladeEncoder
from limbeck.encoder.splade_layout import SpladeLayout, read_splade_layout
from limbeck.encoder.store import TokenStore, cache_folder, tokenizer_fingerprint
from limbeck.encoder.template import PairTemplate
from limbeck.encoder.texts import collection_pairs
from limbeck.encoder.windows import in_windows

__all__ = [
    "ALONE",
    "FP32",
    "INT8",
    "BiEncoder",
    "CrossEncoder",
    "ModelSource",
    "PairTemplate",
    "Pairs",
    "Processes",
    "SentenceLayout",
    "SpladeEncoder",
    "SpladeLayout",
    "TokenStore",
    "autocast",
    "cache_folder",
    "collection_pairs",
    "expect_replaceable",
    "in_windows",
    "micro_batches",
    "moved",
    "onnx_encoder",
    "padding_share",
    "part_like",
    "product_rate",
    "quiet",
    "read_sentence_layout",
    "read_splade_layout",
    "require_onnx",
    "resolve",
    "tokenizer_fingerprint",
    "training_flops",
    "whole",
    "write_onnx",
]

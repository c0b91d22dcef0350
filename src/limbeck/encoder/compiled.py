"""Layers compiled by torch: what stands between their products becomes a few kernels, for any number of tokens.

Ansel et al. 2024, "PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation and Graph
Compilation" (ASPLOS).
"""

from typing import Any

from limbeck.encoder.layers import layers_of


def compile_layers(model: Any) -> None:
    """Let each layer be compiled when it is first used, once for all lengths.

    Dropout inside is then drawn by torch's compiler: other elements than without, still from torch's seed.
    """
    for layer in layers_of(model):
        layer.compile(dynamic=True)

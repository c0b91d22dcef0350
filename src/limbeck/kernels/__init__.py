"""Kernels: attention over packed rows, fused layers, dropout and embeddings for CPU and CUDA."""

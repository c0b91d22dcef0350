"""Tokens: texts tokenised once, pairs assembled from them, and micro-batches by a token budget."""

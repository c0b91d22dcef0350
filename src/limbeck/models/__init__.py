"""Models that score or encode: cross-encoders, bi-encoders and SPLADE, where they come from, and how they are kept."""

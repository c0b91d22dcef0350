"""The re-ranking service: a model behind the HTTP interfaces that re-rank clients speak."""

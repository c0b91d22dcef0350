"""limbeck trains, distils, compares and evaluates transformer cross-encoder re-rankers."""

__version__ = "0.1.0"

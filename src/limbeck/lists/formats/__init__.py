"""Published formats of training lists, one a module: `sbert_hard_negatives.py` is the format `sbert-hard-negatives`."""

from limbeck.lists.formats.format import ExampleQuery, Format, RawList, find_format, format_names, writable_format_names

__all__ = ["ExampleQuery", "Format", "RawList", "find_format", "format_names", "writable_format_names"]

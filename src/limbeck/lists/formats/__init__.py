"""Published formats of training lists, a family in each module, whose `FORMATS` names them."""

from limbeck.lists.formats.format import ExampleQuery, Format, RawList, find_format, format_names, writable_format_names

__all__ = ["ExampleQuery", "Format", "RawList", "find_format", "format_names", "writable_format_names"]

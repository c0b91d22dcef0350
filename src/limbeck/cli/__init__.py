"""The command line: one verb, one call. Nothing heavy is imported before a verb runs."""

from limbeck.cli.app import app, main

__all__ = ["app", "main"]

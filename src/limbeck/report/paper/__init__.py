"""Tables and figures ready for a paper: LaTeX, PDF and SVG, from a study's results."""

from limbeck.report.paper.folder import write_paper

__all__ = ["write_paper"]

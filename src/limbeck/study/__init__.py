"""Studies: from a file to cells, from cells to finished folders, from these to results."""

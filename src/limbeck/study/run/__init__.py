"""The run: from cells to finished folders, with what they share made once."""

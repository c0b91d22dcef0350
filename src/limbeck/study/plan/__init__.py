"""The plan: a study's cells, what they cost, and what they need."""

"""From documents to a re-ranker in a given time: planned, trained as a study, measured, and recommended or not."""

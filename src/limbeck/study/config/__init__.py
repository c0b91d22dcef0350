"""The study file: its schema, its names resolved, and everything checked before anything runs."""

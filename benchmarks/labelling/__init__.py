"""The labelling server under load, and killed in the middle of it."""

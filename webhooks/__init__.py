"""The Flask side: verify, parse, record, start, acknowledge; nothing here waits for a model."""

"""Probes: what is looked at every so often. Each is a function from a context to a finding; `catalogue` lists all."""

"""Settings, errors, clock, log and metrics."""

"""Settings, errors, clock, log, metrics and HTTP sessions with deadlines."""

"""What all processes share through Redis: limits, breakers and access tokens."""

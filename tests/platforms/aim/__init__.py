"""AIM: codec, session, bridge."""

"""Everything that produces an answer."""

"""Platforms: what comes in is verified and understood, what goes out fits and says how it went."""

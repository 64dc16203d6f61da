"""The processes that hold connections."""

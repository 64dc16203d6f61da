"""Processes that hold a connection to a platform."""

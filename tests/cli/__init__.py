"""The `mindbot` command, run as a user runs it."""

"""The `mindbot` command."""

"""The figures for others."""

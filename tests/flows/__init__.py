"""Whole flows: signed webhooks in, answers out, through real processes."""

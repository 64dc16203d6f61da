"""Rules about alerts: conditions, grouping, escalation, wording. Pure."""

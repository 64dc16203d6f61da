"""Rules about messages: classification, routing, context, wording. Pure: no clock, no database, no network."""

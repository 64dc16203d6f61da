"""Rules about messages: classification, routing, context, rendering, commands. Pure: no clock, no database, no network."""

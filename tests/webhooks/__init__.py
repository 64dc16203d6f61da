"""The Flask side: the door, health, the API and the playground."""

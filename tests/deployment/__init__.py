"""What ships for other people's machines is right."""

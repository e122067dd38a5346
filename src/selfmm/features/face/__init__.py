"""What is seen of the one who speaks."""

"""What is heard, besides the words."""

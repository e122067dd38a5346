"""From a file to scores."""

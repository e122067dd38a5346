"""What everything stands on: errors, files, messages, processes, weights."""

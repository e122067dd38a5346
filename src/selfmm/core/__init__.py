"""The base of all other code: errors, files, messages, processes, weights."""

"""Settings, presets, and the recipe of extraction."""

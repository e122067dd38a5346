"""The pages and the JSON behind them, one module per screen; each has ``routes``."""

"""The connection to Redis or Valkey. No other package imports redis."""

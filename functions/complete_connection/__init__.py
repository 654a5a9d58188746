"""The function `complete_connection`."""

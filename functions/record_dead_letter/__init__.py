"""The function `record_dead_letter`."""

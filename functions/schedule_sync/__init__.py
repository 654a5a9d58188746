"""The function `schedule_sync`."""

"""The function `publish_events`."""

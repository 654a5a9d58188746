"""The function `preview_backfill`."""

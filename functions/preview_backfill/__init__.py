"""The function `plan_backfill`."""

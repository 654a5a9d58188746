"""The function `run_backfill_chunk`."""

"""Where Lambda comes in: one folder a function, one handler each, and no mail logic."""

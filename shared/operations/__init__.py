"""One module per use case: functions that take ports by keyword and return what happened."""

"""The function `deliver_outbound`."""

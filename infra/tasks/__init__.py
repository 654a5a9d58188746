"""What a poe task does that is more than one command."""

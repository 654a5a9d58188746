"""Gmail over its HTTP API, and Google's sign-in."""

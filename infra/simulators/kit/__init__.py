"""What the simulators of providers with an HTTP API have in common."""

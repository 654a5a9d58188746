"""What operations need from the world, as Protocols: signatures and contracts, nothing else."""

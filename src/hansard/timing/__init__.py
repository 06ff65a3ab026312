"""What functions take, counted in memory. Below the domain: every layer may use it."""

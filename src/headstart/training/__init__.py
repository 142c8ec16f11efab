"""Where gradients are followed: one loop for every method."""

"""Fine-tuning: the source's own weights move, all of them, some, or none."""

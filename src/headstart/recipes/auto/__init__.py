"""The anytime planner: what to try next in the time that is left, and whether to keep it."""

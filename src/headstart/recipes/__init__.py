"""Readable functions that join source, target, task and method end to end."""

"""Adapters: few weights train, beside or inside the source's; in the end they are one network again."""

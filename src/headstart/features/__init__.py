"""Turning pictures into features with a frozen encoder."""

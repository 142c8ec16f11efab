"""Weights that ordinary packages of a package index carry. One file a kind of pack."""

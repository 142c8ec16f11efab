"""How good a model is (`evaluate`), whether it beats another (`compare`), and the page that says so (`report`)."""

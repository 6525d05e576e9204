"""Rendered clips with exact labels."""

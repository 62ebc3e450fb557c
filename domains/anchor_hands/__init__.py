"""Photographs of hands showing digits in sign language: a class-conditional hub and domains on it."""

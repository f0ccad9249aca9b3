"""Evaluation of frozen features: features in, numbers out."""

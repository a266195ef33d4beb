"""SPIRA's training pipeline: raw recordings in, a detector of respiratory insufficiency and its evaluation out."""

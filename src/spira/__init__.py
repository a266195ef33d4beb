"""SPIRA's training pipeline: raw recordings in, a judged detector of respiratory insufficiency out."""

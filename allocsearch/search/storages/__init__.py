"""Optuna's storages by URL: opened, kept in touch with, and locked."""

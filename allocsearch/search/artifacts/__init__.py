"""Files of trials in Optuna's artifact stores: put there, and fetched from there."""

"""Experiment trackers, which are told of trials and never cost one."""

"""Where the workers of a run are: processes of this machine, or tasks of Ray."""

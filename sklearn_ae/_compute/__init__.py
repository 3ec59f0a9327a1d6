"""The machine: threads, devices, seeds, what torch was told, warnings."""

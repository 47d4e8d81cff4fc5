"""From stored readings to models in force: when a machine is due, and the process that fits it."""

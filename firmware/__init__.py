"""What runs on the device itself (`esp32/`), and the two commands that belong to it."""

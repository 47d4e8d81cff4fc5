"""Where models live: fitted from stored rows, registered in MLflow, promoted with their checksum, loaded without it."""

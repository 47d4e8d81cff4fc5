"""The numbers that each part tells Prometheus."""

"""The ESP32 in the Wokwi simulator: its wiring, a vibrating machine as a chip of ours, and what checks them offline."""

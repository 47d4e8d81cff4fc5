"""What runs near the machine? Emulated pumps, the replay of recordings, and the buffer that frees by the watermark."""

"""A past to look at: machines with a week of readings and what the real detector found in them."""

"""The page with the evidence: one file that asks no other host for anything."""

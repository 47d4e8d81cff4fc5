"""`ronda try`: a recording in, a page with the evidence out; no server, and no more than the base install."""

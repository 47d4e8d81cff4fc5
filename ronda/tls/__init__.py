"""Who is trusted: the private authority, its certificates, and where we listen with them."""

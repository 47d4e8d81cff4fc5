"""One module a page: `show` answers an address, `register` adds what the page asks while it is open."""

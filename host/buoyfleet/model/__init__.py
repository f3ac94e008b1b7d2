"""What the parts pass to each other: plain data, no behaviour of the parts themselves."""

"""What runs on the bench computer."""

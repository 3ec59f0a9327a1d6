"""What is measured of them."""

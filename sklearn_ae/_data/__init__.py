"""From anything to checked rows, and what is known of them."""

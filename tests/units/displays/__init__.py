"""Each display against what is drawn, and what is refused."""

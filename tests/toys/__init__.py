"""Small estimators: what it takes to add one of each kind, a file each."""

"""What is compared: estimators, nets, tools, and how each is trained."""

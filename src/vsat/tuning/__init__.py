"""Training and tuning of networks: material, mixing, losses, the loop, and the way to a bundle."""

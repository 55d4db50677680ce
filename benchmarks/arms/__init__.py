"""Whether pairs that a reward model is unsure of teach it more than pairs drawn by chance, and how many votes a pair should have."""

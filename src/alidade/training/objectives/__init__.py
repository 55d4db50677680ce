"""What is minimised: one module per objective, each with the public function that trains by it."""

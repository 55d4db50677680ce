"""Side by side with other trainers: same data, same tokens, each measurement in a process of its own."""

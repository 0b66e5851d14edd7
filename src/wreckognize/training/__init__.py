"""Fine-tuning through Ultralytics, in a child process that cannot harm the user's files or outlive its parent."""

"""What is measured. Each section returns plain data for the report."""

"""What is kept in files: models, shortlists, packed weights, and where models are found."""

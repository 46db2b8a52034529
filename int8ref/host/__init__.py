"""What the machine offers: its CPU, its cache folder, locks, processes and what is installed."""

"""Services of the machine: CPU, cache folder, locks, child processes, installed packages."""

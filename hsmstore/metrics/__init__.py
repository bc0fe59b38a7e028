"""What a server counts, as Prometheus reads it. prometheus_client is imported nowhere else."""

"""What every layer uses and no result depends on: errors, options, stamps, logs, jobs, files, units."""

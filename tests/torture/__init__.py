"""What no town should have to go through: kills, cuts, torn files, full disks, lies on the wire; by seed, replayable."""

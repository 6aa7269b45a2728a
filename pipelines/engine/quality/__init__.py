"""Data quality as states: what a reading is worth, who is silent, what a meter's register counts."""

"""Who acts: accounts, sessions, what each role may do, and the log of what was done."""

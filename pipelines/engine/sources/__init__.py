"""Sources: how bytes come in. Each hands RawMessages to the intake and answers its sender after the receipt."""

"""The pipelines: one module per domain, and the engine that runs them."""

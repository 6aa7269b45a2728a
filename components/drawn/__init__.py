"""The drawings of declared pictures, one module a form; they know forms and columns, and no domain."""

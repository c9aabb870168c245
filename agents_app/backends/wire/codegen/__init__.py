"""What goes over the wire to the Codegen API (docs.codegen.com, API reference)."""

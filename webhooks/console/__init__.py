"""The pages that people look at: the playground now, the operators' console later."""

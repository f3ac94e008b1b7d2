"""Target `local`: the twin of the AWS pipeline on this machine."""

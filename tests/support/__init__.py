"""What tests share: tiny graphs, builds, stand-ins, recorded machines."""

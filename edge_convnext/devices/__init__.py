"""Machines: the catalogue of devices, boards over SSH, bundles, the bench, what is deployed."""

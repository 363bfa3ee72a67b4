"""Boards over SSH: copy a bundle there, run the bench, bring the report back.

The user's own OpenSSH client is used, with the user's own configuration.
"""

from edge_convnext.devices.ssh.hosts import HostResult, RemoteSettings, bench_on_hosts, check_hosts

__all__ = ["HostResult", "RemoteSettings", "bench_on_hosts", "check_hosts"]

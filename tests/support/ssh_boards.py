"""Addresses of the boards that the tests reach over SSH, and the server."""

import os
import shutil

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


FIRST, SECOND = "127.0.0.1", "127.0.0.2"

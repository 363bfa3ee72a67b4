"""x"""

import os
import shutil

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


FIRST, SECOND = "127.0.0.1", "127.0.0.2"

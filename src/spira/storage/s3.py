"""How S3 is asked: no request waits without end, and the server's own checksums are not used.

Every object is held to its MD5 here. rclone repeats the checksum of the whole object with each range of it, and so no
object that is read in ranges (over 50 MiB, or after a line that broke) would ever arrive.
"""

import os
from typing import Any

from spira.storage.uploads import watch

N_ATTEMPTS = 2  # of botocore and, around it, of s3fs: 2 x 2 read_timeouts where their defaults make 5 x 5


def configure() -> None:
    """To be called before this process opens any client."""
    os.environ.setdefault("AWS_MAX_ATTEMPTS", str(N_ATTEMPTS))
    os.environ.setdefault("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")


def limit(s3: Any) -> None:
    """Has every request of an ``s3fs.S3FileSystem`` end."""
    s3.retries = N_ATTEMPTS
    watch(s3.s3, s3.s3.meta.config.read_timeout)

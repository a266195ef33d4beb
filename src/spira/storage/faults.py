"""Errors of the network and of object storage, as sentences."""

from aiohttp import ClientError as BodyError  # of an answer that breaks off after its beginning
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)

FAULTS = (OSError, BotoCoreError, ClientError, BodyError)


def fault(error: Exception) -> str:
    """The likely cause of one of ``FAULTS``, and what to do."""
    match error:
        case PermissionError() | NoCredentialsError() | PartialCredentialsError():
            return f"the key is missing or refused ({error}); see docs/how-to/storage.md"
        case ReadTimeoutError() | TimeoutError():
            return f"took the request and did not answer in time ({error}); run again later"
        case EndpointConnectionError() | ConnectTimeoutError():
            return f"no server ({error}); is it up, and endpointurl right?"
        case FileNotFoundError():
            return (
                f"not found ({error}); is the bucket's name right, and does it exist, or was something removed from it?"
            )
        case _:
            return f"the transfer broke off ({error}); run again to complete it"

"""What is refused, as the fileserver's clients know it: `{"error", "code"}`."""

from __future__ import annotations

import errno
from typing import Any

from moorage.api import (
    OCTO,
    BadRequest,
    Conflict,
    Dialect,
    Forbidden,
    MoorageError,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)


class FilesDialect(Dialect):
    """The fileserver's: the sentence as it is, without Octo's prefixes. Source: the contract's fileserver."""

    name = "octo_files"
    validation_status = 400

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        code = error.error_code
        if isinstance(error, PayloadTooLarge) and code == PayloadTooLarge.code:
            code = "FILE_TOO_LARGE"  # The gate refuses an upload by its length, and knows of no files.
        body: dict[str, Any] = {"error": error.message, "code": code, "error_code": code.lower()}
        if error.details:
            body["details"] = error.details
        return body

    def error_schema(self, status: int) -> dict[str, Any]:
        return OCTO.error_schema(status)

    def role(self, role: str) -> str:
        return OCTO.role(role)


FILES_DIALECT = FilesDialect()


class NoSpace(MoorageError):
    """507: the disk or a quota is full; what was there is as it was."""

    status, code, default_message = 507, "IO_ERROR", "No space left for the file"


class PreconditionFailed(MoorageError):
    """412: the file is another than the one that the client knows."""

    status, code, default_message = 412, "PRECONDITION_FAILED", "The file was changed meanwhile"


class Stalled(MoorageError):
    """408: the client stopped sending."""

    status, code, default_message = 408, "REQUEST_TIMEOUT", "The upload stalled"


class RangeNotSatisfiable(MoorageError):
    """416: nothing of the wanted part is there."""

    status, code, default_message = 416, "RANGE_NOT_SATISFIABLE", "The file does not reach that far"


class IoError(MoorageError):
    """500: the file system refused."""

    status, code, default_message = 500, "IO_ERROR", "The file system refused"


def traversal(message: str = "Path is outside root directory") -> Forbidden:
    """The path leads out of the workspace."""
    return Forbidden(message, code="PATH_TRAVERSAL")


def invalid(message: str) -> BadRequest:
    """The path cannot be one, or not for this."""
    return BadRequest(message, code="INVALID_PATH")


def missing(shown: str) -> NotFound:
    """Nothing is there."""
    return NotFound(f"File not found: {shown}")


def no_file() -> BadRequest:
    """It is a folder, a pipe, a socket or a device."""
    return BadRequest("File operation not allowed on directory or special file", code="NOT_A_FILE")


def no_folder() -> BadRequest:
    """It is no folder."""
    return BadRequest("Directory operation not allowed on file", code="NOT_A_DIRECTORY")


def too_large(size: int, limit: int) -> PayloadTooLarge:
    """More bytes than the operator allows."""
    return PayloadTooLarge(f"File too large: {size} bytes exceeds limit of {limit} bytes", code="FILE_TOO_LARGE")


def of_os(error: OSError, shown: str) -> MoorageError:
    """What the kernel said, for a path as it is shown to the client."""
    number = error.errno
    if number in (errno.ENOENT, errno.ESTALE):
        return missing(shown)
    if number == errno.ENOTDIR:
        return no_folder()
    if number == errno.EISDIR:
        return no_file()
    if number in (errno.EXDEV, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ):
        return invalid(f"{error.strerror}: {shown}")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Forbidden(f"{error.strerror}: {shown}", code="PERMISSION_DENIED")
    if number in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"{error.strerror}: {shown}")
    if number in (errno.EBUSY, errno.ENOTEMPTY, errno.ETXTBSY):
        return Conflict(f"{error.strerror}: {shown}")
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return Unavailable("Too many files are open: try again")
    return IoError(f"IO error: {error.strerror}")

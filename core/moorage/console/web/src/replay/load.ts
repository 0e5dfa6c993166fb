// Fetches a recording piece by piece, and what was added to it since.
import { ApiError, refused } from "../api";
import type { Cast } from "./cast";

/**
 * Fetch what of the file at `url` the recording does not have yet. `told` is called as it comes, with the bytes of
 * the whole file where the server says how many. ApiError, CastError.
 */
export async function fetchInto(cast: Cast, url: string, signal: AbortSignal, told: (total: number | null) => void): Promise<void> {
  const have = cast.bytes;
  let response: Response;
  try {
    response = await fetch(url, { signal, credentials: "same-origin", headers: have > 0 ? { Range: `bytes=${have}-` } : {} });
  } catch (error) {
    throw offline(error, signal);
  }
  if (response.status === 416) return;
  if (!response.ok) throw await refused(response);
  // A server that does not know of ranges sends it all once more.
  let skip = response.status === 206 ? 0 : have;
  const length = Number(response.headers.get("Content-Length") ?? NaN);
  const total = Number.isNaN(length) ? null : response.status === 206 ? have + length : length;
  const reader = response.body?.getReader();
  for (;;) {
    let piece: Uint8Array | undefined;
    try {
      piece = (await reader?.read())?.value;
    } catch (error) {
      throw offline(error, signal);
    }
    if (piece === undefined) return;
    const use = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - use.length;
    await cast.push(use);
    told(total);
  }
}

function offline(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? error : new ApiError(0, "OFFLINE", "The connection was lost while the recording was fetched.", {});
}

// Sessions as they are at every moment: the socket tells that one changed, the server is asked how it is.
import { useEffect } from "preact/hooks";
import { socketUrl } from "../api";
import { Live } from "../live";
import { type Polled, usePolled } from "../polled";

/** While the socket is away, and for what it does not tell (a session that somebody uses): so often in milliseconds. */
const ASK_EVERY = 10_000;

/** Ask by `load` at the beginning and after each event of a session (of the one with `id`, where it is given). */
export function useWatched<T>(mount: string, load: () => Promise<T>, refresh: () => Promise<void>, id?: string): Polled<T> {
  const polled = usePolled(load, ASK_EVERY, refresh, `${mount} ${id ?? ""}`);
  const { again } = polled;

  useEffect(() => {
    const live: Live = new Live({
      url: () => socketUrl(`${mount}/api/ws`),
      onMessage: (message) => {
        const kind = message["type"];
        if (kind === "ping") live.send({ type: "pong" });
        const about = id === undefined || message["session_id"] === id;
        if (about && (kind === "session_updated" || kind === "session_deleted")) void again();
      },
      onPhase: (phase) => {
        if (phase === "open") void again();
      },
      onClose: (code) => {
        if (code === 4001) void refresh();
        return code === 4001;
      },
    });
    return () => live.end();
  }, [mount, id]);

  return polled;
}

// Sessions as they are at every moment: the socket tells that one changed, the server is asked how it is.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, socketUrl } from "../api";
import { words } from "../forms";
import { Live } from "../live";

/** While the socket is away, and for what it does not tell (a session that somebody uses): so often in milliseconds. */
const ASK_EVERY = 10_000;

export interface Watched<T> {
  /** Null until the first answer. */
  found: T | null;
  problem: string | null;
  /** There is no such session (any more). */
  missing: boolean;
  again: () => Promise<void>;
}

/** Ask by `load` at the beginning and after each event of a session (of the one with `id`, where it is given). */
export function useWatched<T>(mount: string, load: () => Promise<T>, refresh: () => Promise<void>, id?: string): Watched<T> {
  const [found, setFound] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [missing, setMissing] = useState(false);
  const asked = useRef(0);
  const gone = useRef(false);

  const again = useCallback(async () => {
    const mine = ++asked.current;
    try {
      const answer = await load();
      // A later question's answer may have come first.
      if (gone.current || mine !== asked.current) return;
      setFound(answer);
      setMissing(false);
      setProblem(null);
    } catch (error) {
      if (gone.current || mine !== asked.current) return;
      if (error instanceof ApiError && error.status === 401) void refresh();
      if (error instanceof ApiError && error.status === 404 && id !== undefined) setMissing(true);
      setProblem(words(error));
    }
  }, [mount, id]);

  useEffect(() => {
    gone.current = false;
    void again();
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
    const timer = setInterval(() => {
      if (document.visibilityState !== "hidden") void again();
    }, ASK_EVERY);
    return () => {
      gone.current = true;
      live.end();
      clearInterval(timer);
    };
  }, [again]);

  return { found, problem, missing, again };
}

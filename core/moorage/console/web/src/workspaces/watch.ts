// What the server says, asked for again while one looks.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { words } from "../forms";

const ASK_EVERY = 5_000;

export interface Asked<T> {
  /** Null until the first answer. */
  found: T | null;
  problem: string | null;
  /** There is no such thing (any more), or it is another's. */
  missing: boolean;
  again: () => Promise<void>;
}

/** Ask by `load` now, every few seconds, and whenever `key` changes. */
export function useAsked<T>(load: () => Promise<T>, refresh: () => Promise<void>, key: string): Asked<T> {
  const [found, setFound] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [missing, setMissing] = useState(false);
  const asked = useRef(0);
  const gone = useRef(false);
  const latest = useRef(load);
  latest.current = load;

  const again = useCallback(async () => {
    const mine = ++asked.current;
    const late = () => gone.current || mine !== asked.current;
    try {
      const answer = await latest.current();
      // A later question's answer may have come first.
      if (late()) return;
      setFound(answer);
      setMissing(false);
      setProblem(null);
    } catch (error) {
      if (late()) return;
      if (error instanceof ApiError && error.status === 401) void refresh();
      if (error instanceof ApiError && (error.status === 404 || error.status === 403)) setMissing(true);
      setProblem(words(error));
    }
  }, [key]);
  useEffect(() => {
    gone.current = false;
    void again();
    const timer = setInterval(() => {
      if (document.visibilityState !== "hidden") void again();
    }, ASK_EVERY);
    return () => {
      gone.current = true;
      clearInterval(timer);
    };
  }, [again]);
  return { found, problem, missing, again };
}

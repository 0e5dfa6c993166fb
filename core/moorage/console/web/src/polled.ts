// What the server is asked again and again, while somebody looks.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { words } from "./forms";

export interface Polled<T> {
  /** The last good answer; null before the first, and where another question was not answered. */
  found: T | null;
  problem: string | null;
  /** There is no such thing (any more), or it is another's. */
  missing: boolean;
  again: () => Promise<void>;
}

/**
 * Ask by `load` at once, every so many milliseconds while the tab is shown, and when it is shown again; 0 for once, null
 * asks nothing. A 401 is told to `refresh`. Another `key` is another question: what the one before found stays until then.
 */
export function usePolled<T>(load: (() => Promise<T>) | null, every: number, refresh: () => Promise<void>, key = ""): Polled<T> {
  const [answer, setAnswer] = useState<{ key: string; found: T } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [missing, setMissing] = useState(false);
  const latest = useRef({ load, refresh, key });
  latest.current = { load, refresh, key };
  const asked = useRef(0);
  const answered = useRef(0);
  const known = useRef<string | null>(null);

  const again = useCallback(async () => {
    const { load, refresh, key } = latest.current;
    if (load === null) return;
    const mine = ++asked.current;
    // A later question's answer may have come first.
    const late = () => mine < answered.current;
    try {
      const found = await load();
      if (late()) return;
      answered.current = mine;
      known.current = key;
      setAnswer({ key, found });
      setMissing(false);
      setProblem(null);
    } catch (error) {
      if (late()) return;
      answered.current = mine;
      // What another question found is no answer to this one.
      setAnswer((before) => (before?.key === key ? before : null));
      const status = error instanceof ApiError ? error.status : 0;
      // Who has seen it may have lost the right to: it is still there.
      if (status === 404 || (status === 403 && known.current !== key)) setMissing(true);
      if (status === 401) void refresh();
      else setProblem(words(error));
    }
  }, []);

  useEffect(() => {
    setMissing(false);
    setProblem(null);
    void again();
    const look = () => {
      if (document.visibilityState !== "hidden") void again();
    };
    const timer = every === 0 ? undefined : setInterval(look, every);
    if (every !== 0) document.addEventListener("visibilitychange", look);
    return () => {
      // What is still under way answers nobody.
      answered.current = ++asked.current;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [again, every, key]);

  return { found: answer?.found ?? null, problem, missing, again };
}

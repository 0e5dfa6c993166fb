// What the server is asked again and again, while somebody looks.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { words } from "./forms";

export interface Polled<T> {
  /** Null until the first answer; then the last good one. */
  found: T | null;
  problem: string | null;
  again: () => Promise<void>;
}

/**
 * Ask by `load` at once, every so many milliseconds while the tab is shown, and when it is shown again. A 401 is told to
 * `refresh`. A change of `key` begins anew.
 */
export function usePolled<T>(load: () => Promise<T>, every: number, refresh: () => Promise<void>, key = ""): Polled<T> {
  const [found, setFound] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const latest = useRef(load);
  latest.current = load;
  const asked = useRef(0);
  const answered = useRef(0);

  const again = useCallback(async () => {
    const mine = ++asked.current;
    try {
      const answer = await latest.current();
      // A later question's answer may have come first.
      if (mine < answered.current) return;
      answered.current = mine;
      setFound(answer);
      setProblem(null);
    } catch (error) {
      if (mine < answered.current) return;
      answered.current = mine;
      if (error instanceof ApiError && error.status === 401) void refresh();
      else setProblem(words(error));
    }
  }, [refresh]);

  useEffect(() => {
    setFound(null);
    setProblem(null);
    void again();
    const look = () => {
      if (document.visibilityState !== "hidden") void again();
    };
    const timer = setInterval(look, every);
    document.addEventListener("visibilitychange", look);
    return () => {
      // What is still under way answers nobody.
      answered.current = ++asked.current;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [again, every, key]);

  return { found, problem, again };
}

// Who is signed in and what runs here, as the page knows it. It goes on being true: others change roles and plugins, and
// end logins, while a page is open.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import { DOUBT } from "./doubt";
import { draftsOf, dropDrafts } from "./drafts";
import { words } from "./forms";

/** So often it is asked, in milliseconds, while the tab is seen. */
const EVERY = 10_000;
/** Doubts that come together are one. */
const REST = 1_000;

export interface Known {
  /** Null until the first answer. */
  state: api.State | null;
  problem: string | null;
  /** The login was ended, and not by this page. */
  ended: boolean;
  /** What was known when the login ended, where something is typed that would be lost with the page. */
  kept: api.State | null;
  latest: () => api.State | null;
  refresh: () => Promise<void>;
  signOut: () => Promise<void>;
}

export function useKnown(path: string): Known {
  const [state, setState] = useState<api.State | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [ended, setEnded] = useState(false);
  const [kept, setKept] = useState<api.State | null>(null);
  const before = useRef<api.State | null>(null);
  const latest = useCallback(() => before.current, []);
  const asked = useRef({ number: 0, answered: 0, at: 0 });
  const leaving = useRef(false);

  const look = useCallback(async () => {
    const mine = ++asked.current.number;
    asked.current.at = Date.now();
    let now = await api.state();
    // A question that was under way while one's own session got another cookie (by a new password) is answered for nobody.
    if (now.user === null && (before.current?.user ?? null) !== null && !leaving.current) now = await api.state();
    // A later question's answer may have come first.
    if (mine < asked.current.answered) return;
    asked.current.answered = mine;
    const old = before.current;
    before.current = now;
    setProblem(null);
    // What is the same stays the same object: nothing is drawn anew.
    if (JSON.stringify(old) === JSON.stringify(now)) return;
    if ((old?.user ?? null) !== null && old?.user?.id !== now.user?.id) api.forget();
    if (now.user !== null) {
      leaving.current = false;
      draftsOf(now.user.id);
    }
    const lost = now.user === null && (old?.user ?? null) !== null && !leaving.current;
    setEnded(lost);
    setKept(lost && typed() ? old : null);
    setState(now);
  }, []);
  const refresh = useCallback(async () => {
    try {
      await look();
    } catch (error) {
      setProblem(words(error));
    }
  }, [look]);
  const signOut = useCallback(async () => {
    leaving.current = true;
    await api.logout();
    await refresh();
  }, [refresh]);

  useEffect(() => {
    let timer = 0;
    const seen = () => document.visibilityState !== "hidden" && before.current !== null;
    const doubt = () => {
      if (timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        // Whether there is a connection at all is told by what the page itself asks for.
        void look().catch(() => undefined);
      }, Math.max(0, asked.current.at + REST - Date.now()));
    };
    const now = () => {
      if (seen()) doubt();
    };
    // In another tab.
    const left = () => {
      leaving.current = true;
      dropDrafts();
      setKept(null);
      now();
    };
    const clock = setInterval(now, EVERY);
    document.addEventListener("visibilitychange", now);
    window.addEventListener(DOUBT, now);
    window.addEventListener(api.LEFT, left);
    return () => {
      clearTimeout(timer);
      clearInterval(clock);
      document.removeEventListener("visibilitychange", now);
      window.removeEventListener(DOUBT, now);
      window.removeEventListener(api.LEFT, left);
    };
  }, [look]);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) void refresh();
    else window.dispatchEvent(new Event(DOUBT));
    first.current = false;
  }, [path, refresh]);

  return { state, problem, ended, kept, latest, refresh, signOut };
}

/** Whether something was typed into the page that is not sent yet. */
function typed(): boolean {
  const fields = document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>("main input, main textarea, dialog.dialog input, dialog.dialog textarea");
  return [...fields].some((field) => {
    if (field.readOnly || field.closest(".xterm, dialog.again") !== null || ["checkbox", "radio", "search", "hidden"].includes(field.type)) return false;
    return field.value !== "" && field.value !== field.defaultValue;
  });
}

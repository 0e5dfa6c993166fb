// The newest lines of what a session's OpenCode wrote, asked for again while one looks.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../forms";
import * as sessions from "./sessions";

const ASK_EVERY = 3_000;
const LINES = 1_000;
/** So near to its end, in pixels, the view follows what comes. */
const NEAR = 40;

export function Log({ mount, id }: { mount: string; id: string }): JSX.Element {
  const [text, setText] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    let gone = false;
    const ask = async () => {
      if (document.visibilityState === "hidden") return;
      try {
        const found = await sessions.logs(mount, id, LINES);
        if (gone) return;
        setText(found);
        setProblem(null);
      } catch (error) {
        if (!gone) setProblem(words(error));
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), ASK_EVERY);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [mount, id]);
  useEffect(() => {
    const element = box.current;
    if (element && follows.current) element.scrollTop = element.scrollHeight;
  }, [text]);
  const scrolled = () => {
    const element = box.current;
    if (element) follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
  };
  return (
    <>
      {problem !== null && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {text === "" ? (
        <p class="empty">Nothing has been written yet.</p>
      ) : (
        <pre class="log" ref={box} onScroll={scrolled} tabIndex={0} aria-label="Log">
          {text ?? "Loading…"}
        </pre>
      )}
    </>
  );
}

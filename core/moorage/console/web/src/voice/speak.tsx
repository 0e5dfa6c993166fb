// The button by which one speaks instead of typing.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dictation, type Field } from "./dictation";
import { MICROPHONE, STOP } from "./icons";
import type { Voice } from "./offered";
import { useWatched } from "./watched";
import "./voice.css";

const SAYS = {
  opening: "The microphone is asked for…",
  listening: "Listening…",
  ending: "The rest of the words is coming…",
  waiting: "Hands-free: after the answer you are listened to again.",
  over: "",
} as const;
const PRESSED = {
  opening: "Do not speak",
  listening: "Stop listening",
  ending: "Do not wait for the rest",
  waiting: "End hands-free",
  over: "Speak",
} as const;

/** What goes on: as it is of the microphone, and `waiting` for an answer between two things said hands-free. */
function usePhase(): keyof typeof SAYS {
  const { phase, talking } = useWatched(dictation);
  return phase === "over" && talking ? "waiting" : phase;
}

export function Speak({ voice, field, disabled }: { voice: Voice; field: Field; disabled: boolean }): JSX.Element {
  const phase = usePhase();
  const on = phase !== "over";
  const press = (event: MouseEvent) => {
    if (phase === "over") {
      dictation.begin(voice, field);
      // Who pressed it by a key may press it again by the same.
      if (event.detail > 0) field.focus();
    } else if (phase === "listening") dictation.finish();
    else dictation.end();
  };
  const escape = (event: KeyboardEvent) => {
    if (event.key === "Escape" && on) dictation.end();
  };
  return (
    <button type="button" class={on ? `speak ${phase}` : "speak quiet"} aria-pressed={on} title={PRESSED[phase]} disabled={disabled && !on} onClick={press} onKeyDown={escape}>
      {phase === "listening" && <Volume />}
      {phase === "over" ? MICROPHONE : STOP}
      <span class="unseen">{PRESSED[phase]}</span>
    </button>
  );
}

/** A ring as large as it is loud: that the microphone hears something. */
function Volume(): JSX.Element {
  const ring = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const show = () => ring.current?.style.setProperty("--level", String(dictation.volume.level));
    const unwatch = dictation.volume.watch(show);
    return () => void unwatch();
  }, []);
  return <span ref={ring} class="volume" />;
}

/** What goes on, in words, and what went wrong. */
export function Heard(): JSX.Element {
  const { problem } = useWatched(dictation);
  const phase = usePhase();
  return (
    <>
      <p class="problem" role="alert">
        {problem}
      </p>
      <p class="hearing hint" role="status">
        {SAYS[phase]}
      </p>
    </>
  );
}

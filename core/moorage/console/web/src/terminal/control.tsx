// Who has control: said in words, for how long, and how it changes hands.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { now } from "../api";
import { full } from "../time";
import type { Claim, Running } from "../tmux";
import type { Actions, Offers } from "./commands";
import type { State } from "./shared";
import type { Person } from "./types";

/** Milliseconds before the end of a lease from which on the rest is shown. */
const SOON = 5 * 60_000;

interface ModeProps {
  claim: Claim | null;
  mine: boolean;
  typing: boolean;
  ended: boolean;
}

export function Mode({ claim, mine, typing, ended }: ModeProps): JSX.Element {
  const others = mine ? "no connection" : claim === null ? "nobody types" : `${claim.userName || "somebody else"} types`;
  return (
    <p class={typing ? "mode typing" : "mode reading"} role="status">
      {ended ? "Ended" : typing ? "You type here" : `Read-only: ${others}`}
    </p>
  );
}

/** What is left of one's lease, once that is little. */
export function Lease({ expiresAt, onKeep }: { expiresAt: string; onKeep: () => void }): JSX.Element | null {
  const end = Date.parse(expiresAt);
  const [left, setLeft] = useState(end - now());
  useEffect(() => {
    const tick = () => setLeft(end - now());
    tick();
    const timer = setInterval(tick, 1_000);
    return () => clearInterval(timer);
  }, [end]);
  if (Number.isNaN(end) || left > SOON) return null;
  const seconds = Math.max(0, Math.ceil(left / 1000));
  return (
    <span class="lease">
      <span role="timer" aria-label="Your control ends in" title="Typing keeps it too">
        {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")}
      </span>
      <button type="button" class="small" onClick={onKeep}>
        Keep control
      </button>
      <span class="unseen" aria-live="polite">
        Your control ends in less than {Math.max(1, Math.ceil(seconds / 60))} minutes unless you type or keep it.
      </span>
    </span>
  );
}

interface AskedProps {
  asker: Person;
  onHand: () => void;
  onDecline: () => void;
}

/** Somebody asks for control. It takes no key away from who types. */
export function Asked({ asker, onHand, onDecline }: AskedProps): JSX.Element {
  return (
    <div class="asked" role="group" aria-label={`${asker.name} asks for control`}>
      <p aria-live="assertive">
        <strong>{asker.name}</strong> asks for control
      </p>
      <div class="choice">
        <button type="button" class="small" onClick={onHand}>
          Hand over
        </button>
        <button type="button" class="quiet small" onClick={onDecline}>
          Not now
        </button>
      </div>
      <small class="keys">Ctrl+Shift+B, then H or D</small>
    </div>
  );
}

export function Recorded({ recording, onStop }: { recording: Running; onStop: (() => void) | null }): JSX.Element {
  const by = recording.by ? ` by ${recording.by.name}` : "";
  const since = new Date(recording.startedAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return (
    <div class="recording-note" title={`Since ${full(recording.startedAt)}`}>
      <span class="dot" aria-hidden="true" />
      <p aria-live="polite">
        Recording{recording.input && " screen and keys"}
        <span class="by">
          {by} since {since}
        </span>
      </p>
      {onStop !== null && recording.by !== null && (
        <button type="button" class="link" onClick={onStop}>
          Stop<span class="unseen"> recording</span>
        </button>
      )}
    </div>
  );
}

/** The ways to control that are open to one: take, ask, take over, give back. */
export function Buttons({ mine, may, actions }: { mine: boolean; may: Offers; actions: Actions }): JSX.Element | null {
  const keys = "Ctrl+Shift+Enter";
  if (mine) {
    return (
      <button type="button" class="small" title={`Give control back (${keys})`} onClick={actions.release}>
        Release
      </button>
    );
  }
  if (may.take) {
    return (
      <button type="button" class="small" title={`Take control (${keys})`} onClick={actions.take}>
        Take control
      </button>
    );
  }
  return (
    <>
      {may.request && (
        <button type="button" class="small" title={may.override ? "" : `Ask for control (${keys})`} onClick={actions.request}>
          Ask for control
        </button>
      )}
      {may.override && (
        <button type="button" class="quiet small" title={`Take over (${keys})`} onClick={actions.take}>
          Take over
        </button>
      )}
    </>
  );
}

/** Why a key that was pressed did nothing. */
export function readingNotice(mayTake: boolean, mayAsk: boolean, { claim, phase }: State): string {
  if (phase !== "open") return "There is no connection: what you type is not sent.";
  if (mayTake) return "Nothing was typed: press Enter, or the button, to take control first.";
  if (mayAsk) return `Nothing was typed: ${claim?.userName || "somebody else"} has control.`;
  return "You may watch here, not type. Ask an administrator for the operator's role.";
}

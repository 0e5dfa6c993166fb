// One terminal in the list: what it is, who is there, who types and for how long still.
import type { JSX } from "preact";
import { now } from "../api";
import { ago, full } from "../time";
import * as tmux from "../tmux";

const NAMES_SHOWN = 5;

export function Card({ session, me, manage }: { session: tmux.Session; me: string; manage: (() => void) | null }): JSX.Element {
  const windows = session.windows === 1 ? "1 window" : `${session.windows} windows`;
  const viewers = session.viewers ?? [];
  return (
    <li class={manage === null ? undefined : "managed"}>
      <a class="card" data-id={session.id} href={tmux.pageOf(session.id)}>
        <strong>{session.name}</strong>
        <span>
          {windows}, started <time title={full(session.created)}>{ago(session.created)}</time>
          {session.attached && ", attached on the server"}
        </span>
        <span class={session.claim ? "claim" : "free"} title={session.claim ? `Until ${full(session.claim.expiresAt)}` : undefined}>
          {claimText(session.claim, me)}
        </span>
        {session.recording && (
          <span class="taped">
            Being recorded{session.recording.by !== null && ` by ${session.recording.by.name}`}
            {session.recording.input && ", typing too"}
          </span>
        )}
        {viewers.length > 0 && <span>Here now: {names(viewers)}</span>}
      </a>
      {manage !== null && (
        <button type="button" class="quiet more" aria-label={`Rename or end ${session.name}`} aria-haspopup="dialog" onClick={manage}>
          ⋯
        </button>
      )}
    </li>
  );
}

function names(viewers: tmux.Viewer[]): string {
  const shown = viewers.slice(0, NAMES_SHOWN).map((viewer) => viewer.name);
  const more = viewers.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}

function claimText(claim: tmux.Claim | null, me: string): string {
  if (!claim) return "Nobody is typing";
  const who = claim.userId === me ? "You are typing" : `${claim.userName ?? "Somebody else"} is typing`;
  const minutes = Math.ceil((Date.parse(claim.expiresAt) - now()) / 60_000);
  if (!(minutes > 0)) return who;
  const left = minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return `${who}, ${left} left`;
}
